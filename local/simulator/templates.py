"""The business's message templates: the list that Graph gives of them, and what Graph checks when
one is sent.

Source: Meta's pages on template management, template components and error codes.
"""

import re
import threading
from typing import Any

from local.simulator.errors import GraphError
from local.simulator.switches import InvalidInput

__all__ = ["DEFAULT_LIMIT", "SAMPLES", "STATUSES", "Templates"]

JSON = dict[str, Any]

STATUSES = (
    "APPROVED", "PENDING", "REJECTED", "PAUSED", "DISABLED", "IN_APPEAL", "PENDING_DELETION",
    "DELETED", "LIMIT_EXCEEDED", "ARCHIVED",
)  # fmt: skip
DEFAULT_FIELDS = (
    "name", "parameter_format", "components", "language", "status", "category",
    "previous_category", "sub_category",
)  # fmt: skip
DEFAULT_LIMIT = 25
MAX_HEADER = 60
MAX_BODY = 1024
_VARIABLE = re.compile(r"\{\{(\w+)\}\}", re.ASCII)
_REFUSED = re.compile(r"[\n\r\t]| {5,}")
_PLACEHOLDERS = {"IMAGE": "📷 Foto", "VIDEO": "🎥 Vídeo", "DOCUMENT": "📄 Documento"}


def _body(text: str, *examples: str, **named: str) -> JSON:
    part: JSON = {"type": "BODY", "text": text}
    if examples:
        part["example"] = {"body_text": [list(examples)]}
    if named:
        params = [{"param_name": name, "example": value} for name, value in named.items()]
        part["example"] = {"body_text_named_params": params}
    return part


def _footer(text: str) -> JSON:
    return {"type": "FOOTER", "text": text}


def _buttons(*buttons: JSON) -> JSON:
    return {"type": "BUTTONS", "buttons": list(buttons)}


def _reply(text: str) -> JSON:
    return {"type": "QUICK_REPLY", "text": text}


def _template(name: str, language: str, category: str, *components: JSON, **more: Any) -> JSON:
    return {
        "name": name,
        "parameter_format": "POSITIONAL",
        "components": list(components),
        "language": language,
        "status": "APPROVED",
        "category": category,
        "rejected_reason": "NONE",
        **more,
    }


SAMPLES = (
    _template("aviso", "pt_BR", "UTILITY", _body("Temos uma novidade sobre o seu atendimento.")),
    _template(
        "retomar_conversa", "pt_BR", "UTILITY",
        _body(
            "Olá, {{1}}! Aqui é da Pedal & Cia. Podemos continuar a conversa sobre {{2}}?",
            "Maria", "o conserto da bicicleta",
        ),
        _footer("Responda quando puder"),
        _buttons(_reply("Sim, pode falar"), _reply("Agora não")),
    ),
    _template(
        "retomar_conversa", "en_US", "UTILITY",
        _body("Hello, {{1}}! May we go on talking about {{2}}?", "Maria", "the repair"),
        _buttons(_reply("Yes, go on"), _reply("Not now")),
    ),
    _template(
        "retomar_conversa", "es", "UTILITY",
        _body("Hola, {{1}}. ¿Podemos seguir hablando sobre {{2}}?", "María", "la reparación"),
    ),
    _template(
        "servico_pronto", "pt_BR", "UTILITY",
        {
            "type": "HEADER", "format": "TEXT", "text": "Ordem {{ordem}}",
            "example": {
                "header_text_named_params": [{"param_name": "ordem", "example": "4471"}]
            },
        },
        _body(
            "Oi, {{nome}}! O serviço da sua *{{item}}* ficou pronto. O total é R$ {{valor}}.\n\n"
            "Retire até as 18h.",
            nome="Maria", item="bicicleta aro 29", valor="95,00",
        ),
        _footer("Pedal & Cia · seg. a sáb."),
        _buttons(
            {
                "type": "URL", "text": "Acompanhar", "url": "https://pedal.example/ordens/{{1}}",
                "example": ["https://pedal.example/ordens/4471"],
            },
            {"type": "PHONE_NUMBER", "text": "Ligar", "phone_number": "+551130030000"},
        ),
        parameter_format="NAMED",
    ),
    _template(
        "volta_as_aulas", "pt_BR", "MARKETING",
        {"type": "HEADER", "format": "TEXT", "text": "Volta às aulas"},
        _body("Oi, {{1}}! A revisão completa está com 20% de desconto até sexta.", "Maria"),
        _footer("Para não receber mais, responda PARAR"),
        _buttons({"type": "COPY_CODE", "text": "Copiar código", "example": "AULAS20"}),
    ),
    _template(
        "catalogo_verao", "pt_BR", "MARKETING",
        {
            "type": "HEADER", "format": "IMAGE",
            "example": {"header_handle": ["https://scontent.example/catalogo.jpg"]},
        },
        _body("Chegaram as bicicletas de verão."),
    ),
    _template(
        "revisao_gratis", "pt_BR", "UTILITY",
        _body("Ganhe uma revisão grátis indicando um amigo!"),
        status="REJECTED", rejected_reason="TAG_CONTENT_MISMATCH",
    ),
    _template(
        "pesquisa", "pt_BR", "MARKETING",
        _body("Como foi o seu atendimento? Responda de 1 a 5."), status="PAUSED",
    ),
    _template(
        "lembrete_revisao", "pt_BR", "UTILITY",
        _body("Olá, {{1}}! Faz seis meses da última revisão.", "Maria"), status="PENDING",
    ),
    _template(
        "codigo_acesso", "pt_BR", "AUTHENTICATION",
        _body("*{{1}}* é o seu código de verificação.", "123456"),
        _buttons({"type": "URL", "text": "Copiar código",
                  "url": "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}"}),
    ),
)  # fmt: skip


class Templates:
    """What the business has in Meta's template manager. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], JSON] = {}
        self._next_id = 0
        self.reset()

    def reset(self) -> None:
        """The samples, and nothing else."""
        with self._lock:
            self._known.clear()
            for sample in SAMPLES:
                self._keep(sample)

    def put(self, wanted: Any) -> JSON:
        """Adds a template, or changes some fields of the one of that name and language.

        Raises:
            InvalidInput: a field that a template cannot have.
        """
        if not isinstance(wanted, dict):
            raise InvalidInput("body", "must be a template")
        name, language = wanted.get("name"), wanted.get("language", "pt_BR")
        for field, value in (("name", name), ("language", language)):
            if not isinstance(value, str) or not value:
                raise InvalidInput(field, "must be a text")
        if wanted.get("status", "APPROVED") not in STATUSES:
            raise InvalidInput("status", "must be one of " + ", ".join(STATUSES))
        if not isinstance(wanted.get("components", []), list):
            raise InvalidInput("components", "must be a list")
        with self._lock:
            known = self._known.get((str(name), str(language)))
            base = known or _template(str(name), str(language), "UTILITY")
            return self._keep({**base, **wanted, "language": language})

    def remove(self, name: str) -> int:
        """Deletes a template in all its languages; gives in how many."""
        with self._lock:
            gone = [key for key in self._known if key[0] == name]
            for key in gone:
                del self._known[key]
            return len(gone)

    def page(self, fields: str | None, limit: int, after: str | None) -> JSON:
        """A page of the list as Graph gives it; ``after`` is a cursor of an earlier one.

        Raises:
            GraphError: the cursor is none.
        """
        with self._lock:
            everything = list(self._known.values())
        start = 0
        if after:
            if not after.isdigit():
                raise GraphError(100, message="(#100) Invalid cursors values")
            start = int(after)
        names = fields.split(",") if fields else DEFAULT_FIELDS
        shown = everything[start : start + limit]
        data = [{n: each[n] for n in [*names, "id"] if n in each} for each in shown]
        paging: JSON = {}
        if shown:
            end = start + len(shown)
            paging = {"cursors": {"before": str(start), "after": str(end)}}
            if end < len(everything):
                paging["next"] = f"https://graph.facebook.com/next?after={end}"
        return {"data": data, **({"paging": paging} if paging else {})}

    def render(self, sent: JSON) -> JSON:
        """What the customer sees of a template that is sent.

        Raises:
            GraphError: Graph refuses it.
        """
        name, language = sent["name"], sent["language"]
        code = language.get("code") if isinstance(language, dict) else None
        if not isinstance(code, str):
            raise GraphError(131008, "Required parameter 'language.code' is missing.")
        with self._lock:
            template = self._known.get((str(name), code))
        status = template["status"] if template else None
        if status in ("PAUSED", "DISABLED"):
            raise GraphError(132015 if status == "PAUSED" else 132016, f"template ({name})")
        if template is None or status != "APPROVED":
            raise GraphError(132001, f"template name ({name}) does not exist in {code}")
        given = _given(sent.get("components", []))
        shown: JSON = {"header": None, "text": "", "footer": None, "buttons": []}
        for part in template["components"]:
            kind = part["type"]
            if kind == "HEADER" and part["format"] != "TEXT":
                if not given.get("header"):
                    raise GraphError(132012, f"header: Format mismatch, expected {part['format']}")
                shown["header"] = _PLACEHOLDERS.get(part["format"], part["format"])
            elif kind in ("HEADER", "BODY"):
                place = kind.lower()
                text = _fill(place, part["text"], given.get(place, []))
                if len(text) > (MAX_HEADER if kind == "HEADER" else MAX_BODY):
                    raise GraphError(132005, f"{place}: Translated text too long")
                shown["text" if kind == "BODY" else "header"] = text
            elif kind == "FOOTER":
                shown["footer"] = part["text"]
            elif kind == "BUTTONS":
                shown["buttons"] = [
                    _button(index, button, given.get(f"button.{index}", []))
                    for index, button in enumerate(part["buttons"])
                ]
        return shown

    def _keep(self, template: JSON) -> JSON:
        self._next_id += 1
        kept = {**template, "id": template.get("id", str(594425479261596 + self._next_id))}
        self._known[template["name"], template["language"]] = kept
        return kept


def _given(components: Any) -> dict[str, list[JSON]]:
    """The parameters of a request, by component."""
    if not isinstance(components, list):
        raise GraphError(100, message="(#100) Param template['components'] must be an array.")
    found = {}
    for each in components:
        if not isinstance(each, dict) or not isinstance(each.get("parameters", []), list):
            raise GraphError(100, message="(#100) Param template['components'] is invalid.")
        key = str(each.get("type", "")).lower()
        if key == "button":
            key = f"button.{each.get('index')}"
        found[key] = [p for p in each.get("parameters", []) if isinstance(p, dict)]
    return found


def _fill(place: str, text: str, parameters: list[JSON]) -> str:
    names = list(dict.fromkeys(_VARIABLE.findall(text)))
    if len(parameters) != len(names):
        raise GraphError(
            132000,
            f"{place}: number of localizable_params ({len(parameters)}) does not match the "
            f"expected number of params ({len(names)})",
        )
    if all(name.isdigit() for name in names):
        by_name = dict(zip(sorted(names, key=int), parameters, strict=True))
    else:
        by_name = {str(each.get("parameter_name")): each for each in parameters}
    for name in names:
        if name not in by_name:
            raise GraphError(132012, f"{place}: Parameter name is missing or empty")
    return _VARIABLE.sub(lambda match: _value(place, by_name[match[1]]), text)


def _value(place: str, parameter: JSON) -> str:
    kind = parameter.get("type")
    value = parameter.get("coupon_code" if kind == "coupon_code" else "text")
    if kind not in ("text", "coupon_code") or not isinstance(value, str):
        raise GraphError(132012, f"{place}: Format mismatch, expected TEXT")
    if not value.strip():
        raise GraphError(131008, f"{place}: Parameter of type {kind} is missing {kind} value")
    if _REFUSED.search(value):
        raise GraphError(
            132018,
            "Param text cannot have new-line/tab characters or more than 4 consecutive spaces",
        )
    return value


def _button(index: int, button: JSON, parameters: list[JSON]) -> JSON:
    kind = button["type"]
    shown = {"type": kind, "text": button["text"]}
    needs = kind == "COPY_CODE" or (kind == "URL" and "{{1}}" in button["url"])
    if needs and len(parameters) != 1:
        raise GraphError(
            131008, f"buttons: Button at index {index} of type {kind.title()} requires a parameter"
        )
    if kind == "URL":
        url = button["url"]
        shown["url"] = url.replace("{{1}}", _value("buttons", parameters[0])) if needs else url
    elif kind == "PHONE_NUMBER":
        shown["phone_number"] = button["phone_number"]
    elif kind == "COPY_CODE":
        shown["code"] = _value("buttons", parameters[0])
    return shown
