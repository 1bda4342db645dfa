"""Message templates: what the Graph API's list says of each, what is to be filled in, what it then
reads like, and what is sent. Pure.

Source: Meta's pages "Template management", "Template components" and "Error codes".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from chat.conversation.blank import is_encodable

JSON = dict[str, Any]

#: The type of a message that was made from a template.
TEMPLATE = "template"
APPROVED = "APPROVED"
#: Meta's limits, of what it reads like once it is filled in.
MAX_HEADER_CHARS = 60
MAX_BODY_CHARS = 1024
MAX_URL_CHARS = 2000
MAX_COUPON_CHARS = 15
#: Of one variable, whatever it stands in; bounds what a request may bring.
_MAX_VALUE_CHARS = MAX_URL_CHARS
_MAX_VARIABLES = 100

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}", re.ASCII)
#: Meta allows four spaces, and counts what it trims and joins differently from page to page.
_REFUSED_IN_VALUE = re.compile(r"[\r\n\t\v\f\u0085\u2028\u2029]| {4,}")

#: Why those that are not approved cannot be sent, by Meta's status.
_STATES = {
    "PENDING": "Em análise pela Meta",
    "IN_APPEAL": "Em recurso na Meta",
    "REJECTED": "Recusado pela Meta",
    "PAUSED": "Pausado pela Meta: muitos clientes bloquearam ou denunciaram",
    "DISABLED": "Desativado pela Meta, por denúncias ou por violar as regras",
    "PENDING_DELETION": "Está sendo apagado",
    "DELETED": "Foi apagado",
    "LIMIT_EXCEEDED": "A conta passou do limite de modelos",
    "ARCHIVED": "Arquivado na conta do WhatsApp",
}
#: Meta's reasons for refusing one.
_REASONS = {
    "ABUSIVE_CONTENT": "conteúdo não permitido",
    "CATEGORY_NOT_AVAILABLE": "categoria não disponível para esta conta",
    "INCORRECT_CATEGORY": "categoria errada para o conteúdo",
    "INVALID_FORMAT": "formato inválido",
    "PROMOTIONAL": "conteúdo promocional fora da categoria Marketing",
    "SCAM": "parece golpe",
    "TAG_CONTENT_MISMATCH": "o conteúdo não combina com a categoria ou o idioma",
}
_BUTTONS = {
    "QUICK_REPLY": "reply",
    "URL": "url",
    "PHONE_NUMBER": "phone",
    "COPY_CODE": "copy",
    "VOICE_CALL": "call",
}
_HEADERS = {
    "IMAGE": "uma foto",
    "VIDEO": "um vídeo",
    "GIF": "um GIF",
    "DOCUMENT": "um documento",
    "LOCATION": "uma localização",
}


class InvalidTemplateError(ValueError):
    """What was filled in, or asked for, cannot be sent; `field` names it, the text says why."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.field = name


@dataclass(frozen=True)
class Variable:
    """What an attendant fills in."""

    key: str  # "1" or "nome" in the body, "header.1" in the header, "button.0" of a button
    part: str  # "header", "body" or "button"
    name: str  # as it stands between the braces; of a button, its words
    example: str  # Meta's
    limit: int  # characters that the whole part may have


@dataclass(frozen=True)
class Template:
    """One template in one language."""

    name: str
    language: str
    category: str
    status: str
    body: str
    header: str | None = None
    footer: str | None = None
    #: {"kind", "text", "url"?, "phone"?, "code"?}, in their order, which is the index Meta wants.
    buttons: tuple[JSON, ...] = ()
    variables: tuple[Variable, ...] = ()
    reason: str | None = None  # why Meta refused it
    unsupported: str | None = None  # why it cannot be sent from here

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be sent; None if it can."""
        if self.status == APPROVED:
            return self.unsupported
        state = _STATES.get(self.status, f"Não aprovado ({self.status})")
        reason = _REASONS.get(self.reason or "") if self.status == "REJECTED" else None
        return f"{state}: {reason}" if reason else state

    def as_json(self) -> JSON:
        """What the screen lists and fills in."""
        return {
            "name": self.name,
            "language": self.language,
            "category": self.category,
            "status": self.status,
            "obstacle": self.obstacle,
            "header": self.header,
            "body": self.body,
            "footer": self.footer,
            "buttons": list(self.buttons),
            "variables": [vars(each) for each in self.variables],
        }


@dataclass(frozen=True)
class Filled:
    """A template as it goes to one customer."""

    text: str  # the body
    #: "sent": Meta's part of the request; "shown": what stands round the body; "asked": by what
    #: request, to know that again. Whatever becomes of the template, the thread shows it by this.
    payload: JSON = field(default_factory=dict)


# --- what the Graph API lists ---------------------------------------------------------------------


def read(item: Any) -> Template | None:
    """A template of the Graph API's list; None for what is none that anybody could use."""
    if not isinstance(item, dict):
        return None
    name, language, status = (_text(item.get(key)) for key in ("name", "language", "status"))
    parts = item.get("components")
    parts = [p for p in parts if isinstance(p, dict)] if isinstance(parts, list) else []
    by_type: dict[str, JSON] = {str(part.get("type", "")).upper(): part for part in parts}
    body = _text(by_type.get("BODY", {}).get("text"))
    if not (name and language and status):
        return None
    header = by_type.get("HEADER", {})
    is_text = str(header.get("format", "TEXT")).upper() == "TEXT"
    title = _text(header.get("text")) or None if is_text else None
    buttons = tuple(_button(each) for each in _listed(by_type.get("BUTTONS", {}).get("buttons")))
    variables = [
        *_variables(title or "", "header", header, MAX_HEADER_CHARS),
        *_variables(body, "body", by_type.get("BODY", {}), MAX_BODY_CHARS),
        *_of_buttons(buttons),
    ]
    return Template(
        name=name,
        language=language,
        category=_text(item.get("category")).upper(),
        status=status.upper(),
        reason=_text(item.get("rejected_reason")).upper() or None,
        header=title,
        body=body,
        footer=_text(by_type.get("FOOTER", {}).get("text")) or None,
        buttons=buttons,
        variables=tuple(variables),
        unsupported=_unsupported(item, by_type, buttons),
    )


def _unsupported(item: JSON, by_type: dict[str, JSON], buttons: tuple[JSON, ...]) -> str | None:
    header = str(by_type.get("HEADER", {}).get("format", "TEXT")).upper()
    if header != "TEXT":
        what = _HEADERS.get(header, "um cabeçalho de outro tipo")
        return f"Tem {what} no cabeçalho: ainda não dá para enviar por aqui"
    if str(item.get("category", "")).upper() == "AUTHENTICATION":
        return "Modelo de autenticação: só um sistema envia os códigos dele"
    known = {"HEADER", "BODY", "FOOTER", "BUTTONS"}
    if not by_type.get("BODY", {}).get("text") or set(by_type) - known:
        return "Modelo de um tipo que ainda não dá para enviar por aqui"
    if any(each["kind"] == "other" for each in buttons):
        return "Tem um botão que ainda não dá para enviar por aqui"
    return None


def _button(item: JSON) -> JSON:
    kind = _BUTTONS.get(str(item.get("type", "")).upper(), "other")
    button = {"kind": kind, "text": _text(item.get("text"))}
    if kind == "url":
        button["url"] = _text(item.get("url"))
    elif kind == "phone":
        button["phone"] = _text(item.get("phone_number"))
    if kind in ("url", "copy"):
        example = item.get("example")
        example = example[0] if isinstance(example, list) and example else example
        button["example"] = _text(example)
    return button


def _variables(text: str, part: str, component: JSON, limit: int) -> list[Variable]:
    names = list(dict.fromkeys(_VARIABLE.findall(text)))
    if all(name.isdigit() for name in names):
        names.sort(key=int)
    examples = _examples(component, part)
    prefix = "" if part == "body" else f"{part}."
    return [
        Variable(f"{prefix}{name}", part, name, examples.get(name, ""), limit) for name in names
    ]


def _examples(component: JSON, part: str) -> dict[str, str]:
    """What Meta was shown in place of each variable."""
    example = component.get("example")
    if not isinstance(example, dict):
        return {}
    found = {}
    for each in _listed(example.get(f"{part}_text_named_params")):
        found[_text(each.get("param_name"))] = _text(each.get("example"))
    given = example.get(f"{part}_text")
    if isinstance(given, list):
        row = given[0] if given and isinstance(given[0], list) else given
        found |= {str(n): _text(each) for n, each in enumerate(row, 1)}
    return found


def _of_buttons(buttons: tuple[JSON, ...]) -> list[Variable]:
    found = []
    for index, button in enumerate(buttons):
        key, name = f"button.{index}", button["text"]
        if button["kind"] == "copy":
            found.append(Variable(key, "button", name, button["example"], MAX_COUPON_CHARS))
        elif button["kind"] == "url" and (match := _VARIABLE.search(button["url"])):
            start = button["url"][: match.start()]
            example = button["example"].removeprefix(start)
            found.append(Variable(key, "button", name, example, MAX_URL_CHARS))
    return found


# --- filling in -----------------------------------------------------------------------------------


def asked_of(value: Any) -> JSON:
    """What a request asks for: {"name", "language", "variables"}.

    Raises:
        InvalidTemplateError: it cannot be that.
    """
    value = value if isinstance(value, dict) else {}
    name, language, given = value.get("name"), value.get("language"), value.get("variables") or {}
    for key, text in (("name", name), ("language", language)):
        if not isinstance(text, str) or not 0 < len(text) <= 512:
            raise InvalidTemplateError(f"template.{key}", "Escolha um modelo.")
    if not isinstance(given, dict) or len(given) > _MAX_VARIABLES:
        raise InvalidTemplateError("template.variables", "As variáveis não são válidas.")
    for key, text in given.items():
        if not isinstance(text, str) or len(text) > _MAX_VALUE_CHARS or not is_encodable(text):
            raise InvalidTemplateError(f"template.variables.{key}", "Este texto não é válido.")
    return {"name": name, "language": language, "variables": given}


def fill(template: Template, asked: JSON) -> Filled:
    """Puts what an attendant wrote in place of the variables.

    Args:
        template: which must have no `obstacle`.
        asked: see `asked_of`.

    Raises:
        InvalidTemplateError: Meta would refuse it.
    """
    if template.obstacle:
        raise InvalidTemplateError("template.name", f"{template.obstacle}.")
    values = {key: text.strip() for key, text in asked["variables"].items()}
    known = {each.key for each in template.variables}
    for key in values:
        if key not in known:
            text = "O modelo não tem esta variável."
            raise InvalidTemplateError(f"template.variables.{key}", text)
    for each in template.variables:
        _check(each, values.get(each.key, ""))
    header = _put_in(template.header or "", values, "header.")
    body = _put_in(template.body, values, "")
    for text, part, limit in ((header, "header", MAX_HEADER_CHARS), (body, "body", MAX_BODY_CHARS)):
        if len(text) > limit:
            last = [each.key for each in template.variables if each.part == part][-1:]
            where = f"template.variables.{last[0]}" if last else "template.name"
            raise InvalidTemplateError(where, f"O texto todo passa de {limit} caracteres.")
    buttons = [
        _filled_button(button, values.get(f"button.{index}"))
        for index, button in enumerate(template.buttons)
    ]
    sent: JSON = {"name": template.name, "language": {"code": template.language}}
    if components := _components(template, values):
        sent["components"] = components
    shown = {
        "name": template.name,
        "language": template.language,
        "category": template.category,
        "header": header or None,
        "footer": template.footer,
        "buttons": buttons,
    }
    return Filled(body, {"sent": sent, "shown": shown, "asked": asked})


def _check(variable: Variable, value: str) -> None:
    where = f"template.variables.{variable.key}"
    if not value:
        raise InvalidTemplateError(where, "Preencha este campo.")
    if _REFUSED_IN_VALUE.search(value):
        text = "O WhatsApp não aceita aqui quebra de linha, tabulação nem 4 espaços seguidos."
        raise InvalidTemplateError(where, text)
    if len(value) > variable.limit:
        raise InvalidTemplateError(where, f"Passa de {variable.limit} caracteres.")


def _put_in(text: str, values: dict[str, str], prefix: str) -> str:
    return _VARIABLE.sub(lambda match: values.get(prefix + match[1], match[0]), text)


def _filled_button(button: JSON, value: str | None) -> JSON:
    shown = {key: text for key, text in button.items() if key != "example"}
    if value is None:
        return shown
    if button["kind"] == "copy":
        return {**shown, "code": value}
    return {**shown, "url": _VARIABLE.sub(lambda _: value, button["url"])}


def _components(template: Template, values: dict[str, str]) -> list[JSON]:
    """What Meta is to put in place of the variables."""
    found = []
    for part in ("header", "body"):
        variables = [each for each in template.variables if each.part == part]
        # Meta takes the order for the number, unless they have names.
        named = not all(each.name.isdigit() for each in variables)
        parameters = [
            {
                "type": "text",
                **({"parameter_name": each.name} if named else {}),
                "text": values[each.key],
            }
            for each in variables
        ]
        if parameters:
            found.append({"type": part, "parameters": parameters})
    for index, button in enumerate(template.buttons):
        value = values.get(f"button.{index}")
        if value is None:
            continue
        parameter = {"type": "text", "text": value}
        if button["kind"] == "copy":
            parameter = {"type": "coupon_code", "coupon_code": value}
        sub_type = "copy_code" if button["kind"] == "copy" else "url"
        head = {"type": "button", "sub_type": sub_type, "index": str(index)}
        found.append({**head, "parameters": [parameter]})
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) and is_encodable(value) else ""


def _listed(value: Any) -> list[JSON]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
