"""The faults that a person or a test can switch on: one table says what there is.

The table gives the defaults, the checks, the page's labels and the OpenAPI description, so
that none of the four can lag behind the others.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["SWITCHES", "InvalidInput", "Refusal", "Switch", "Switches"]

JSON = dict[str, Any]

MAX_DELAY_MS = 600_000  # ten minutes: longer is a lost webhook, and there is a switch for that


class InvalidInput(ValueError):
    """A request that names a field wrongly, or gives it a value it cannot have."""

    def __init__(self, field: str, reason: str):
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True)
class Refusal:
    """What a send meets: Meta's code, the HTTP status (None = the code's own), the details."""

    code: int
    http_status: int | None
    details: str | None


@dataclass(frozen=True)
class Switch:
    """One row of the table."""

    default: Any
    check: Callable[[str, Any], Any]  # gives the value back, tidied, or raises InvalidInput
    schema: JSON
    description: str
    label: str  # what the page calls it
    example: Any  # what the page puts on when somebody clicks


def _integer(low: int, high: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidInput(name, f"must be an integer from {low} to {high}")
        return value

    return check


def _number(low: float, high: float) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not low <= value <= high:
            raise InvalidInput(name, f"must be a number from {low} to {high}")
        return float(value)

    return check


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(name, "must be true or false")
    return value


def _one_of(*values: Any) -> Callable[[str, Any], Any]:
    def check(name: str, value: Any) -> Any:
        if value not in values:
            raise InvalidInput(name, "must be one of " + ", ".join(map(repr, values)))
        return value

    return check


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise InvalidInput(name, "must be a text of at most 1000 characters")
    return value


def _optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check(name, value)


def _record(
    fields: dict[str, tuple[Any, Callable[[str, Any], Any]]], required: tuple[str, ...] = ()
) -> Callable[[str, Any], JSON]:
    def check(name: str, value: Any) -> JSON:
        if not isinstance(value, dict):
            raise InvalidInput(name, "must be an object with " + ", ".join(fields))
        for key in value:
            if key not in fields:
                raise InvalidInput(f"{name}.{key}", "is not known; there are " + ", ".join(fields))
        for key in required:
            if key not in value:
                raise InvalidInput(f"{name}.{key}", "is missing")
        return {
            key: test(f"{name}.{key}", value[key]) if key in value else default
            for key, (default, test) in fields.items()
        }

    return check


def _batch(name: str, value: Any) -> JSON:
    if isinstance(value, int) and not isinstance(value, bool):
        value = {"size": value}
    fields = {"size": (None, _integer(1, 1000)), "wait_ms": (200, _integer(1, MAX_DELAY_MS))}
    return _record(fields, ("size",))(name, value)


_TIMES = (1, _integer(1, 1_000_000))
_REFUSAL = {
    "code": (None, _integer(0, 999_999)),
    "times": _TIMES,
    "http_status": (None, _optional(_integer(400, 599))),
    "details": (None, _optional(_text)),
}
_FAILURE = {key: _REFUSAL[key] for key in ("code", "times", "details")}
_LOSS = {
    "share": (0.0, _number(0, 1)),
    "next": (0, _integer(0, 1_000_000)),
    "what": ("both", _one_of("messages", "statuses", "both")),
}
_TIMEOUT = {
    "process": (True, _boolean),
    "seconds": (30.0, _number(0.01, 600)),
    "times": (None, _optional(_integer(1, 1_000_000))),
}
_OFTEN = (None, _optional(_integer(1, 1_000_000)))
_MEDIA = {"times": _OFTEN}
_SLOW = {"seconds": (10.0, _number(0.01, 600)), "times": _OFTEN}
_MEDIA_FAILURE = {
    "http_status": (500, _integer(400, 599)),
    "cut_after": (None, _optional(_integer(0, 200_000_000))),
    "times": _OFTEN,
}


def _object(**properties: JSON) -> JSON:
    return {"type": ["object", "null"], "properties": properties}


_WHOLE: JSON = {"type": "integer"}
_TEXT: JSON = {"type": "string"}


SWITCHES: dict[str, Switch] = {
    "webhook_delay_ms": Switch(
        0, _integer(0, MAX_DELAY_MS), {"type": "integer"},
        "Every webhook leaves so many milliseconds late.", "Atrasar os webhooks (ms)", 3000,
    ),
    "webhook_repeat": Switch(
        1, _integer(1, 10), {"type": "integer", "minimum": 1, "maximum": 10},
        "Every webhook POST is made so many times.", "Repetir cada webhook (vezes)", 3,
    ),
    "webhook_reorder": Switch(
        0, _integer(0, 1000), {"type": "integer", "minimum": 0, "maximum": 1000},
        "Updates are collected up to this number (or one second) and leave shuffled.",
        "Embaralhar a cada (updates)", 10,
    ),
    "webhook_batch": Switch(
        None, _optional(_batch), _object(size=_WHOLE, wait_ms=_WHOLE),
        "Collect up to size updates, or wait_ms milliseconds, into one POST. A bare number is "
        "the size.", "Agrupar em um POST", {"size": 100, "wait_ms": 1000},
    ),
    "webhook_lose": Switch(
        None, _optional(_record(_LOSS)), _object(
            share={"type": "number"}, next=_WHOLE, what={"enum": ["messages", "statuses", "both"]}
        ),
        "Lose the next n updates and then a share of them (0 to 1) for good; what: messages, "
        "statuses or both.", "Perder webhooks", {"share": 0.3, "next": 0, "what": "statuses"},
    ),
    "webhook_pause": Switch(
        False, _boolean, {"type": "boolean"},
        "Nothing leaves; what collects is delivered when switched off.", "Segurar os webhooks",
        True,
    ),
    "refuse_next": Switch(
        None, _optional(_record(_REFUSAL, ("code",))),
        _object(code=_WHOLE, times=_WHOLE, http_status=_WHOLE, details=_TEXT),
        "The next sends are refused at once, with Meta's error body.", "Recusar o próximo envio",
        {"code": 131056, "times": 1},
    ),
    "fail_next": Switch(
        None, _optional(_record(_FAILURE, ("code",))),
        _object(code=_WHOLE, times=_WHOLE, details=_TEXT),
        "The next sends are accepted (200) and then get the status failed.",
        "Falhar depois de aceitar", {"code": 131047, "times": 1},
    ),
    "refuse_next_upload": Switch(
        None, _optional(_record(_REFUSAL, ("code",))),
        _object(code=_WHOLE, times=_WHOLE, http_status=_WHOLE, details=_TEXT),
        "The next files that the business gives are refused, with Meta's error body.",
        "Recusar o próximo arquivo", {"code": 131053, "times": 1},
    ),
    "upload_delay_ms": Switch(
        0, _integer(0, MAX_DELAY_MS), {"type": "integer"},
        "A file that the business gives is taken so many milliseconds late.",
        "Receber arquivos devagar (ms)", 5000,
    ),
    "graph_delay_ms": Switch(
        0, _integer(0, MAX_DELAY_MS), {"type": "integer"},
        "The Graph API answers so many milliseconds late.", "API lenta (ms)", 3000,
    ),
    "graph_down": Switch(
        None, _optional(_one_of("503", "close")), {"enum": [None, "503", "close"]},
        "The Graph API answers 503, or closes the connection without an answer.",
        "API fora do ar", "503",
    ),
    "graph_timeout": Switch(
        None, _optional(_record(_TIMEOUT)),
        _object(process={"type": "boolean"}, seconds={"type": "number"}, times=_WHOLE),
        "A send gets no answer for so many seconds, then the connection closes; process says "
        "whether it was carried out all the same. Without times: until switched off.",
        "API sem resposta", {"process": True, "seconds": 30},
    ),
    "media_expired": Switch(
        None, _optional(_record(_MEDIA)), _object(times=_WHOLE),
        "The Graph API knows no id of a customer's file any more.", "Arquivos vencidos",
        {"times": 1},
    ),
    "media_wrong_sha256": Switch(
        None, _optional(_record(_MEDIA)), _object(times=_WHOLE),
        "A customer's file arrives with a byte changed: its sha256 is another than was told.",
        "Arquivos com sha256 errado", {"times": 1},
    ),
    "media_slow": Switch(
        None, _optional(_record(_SLOW)), _object(seconds={"type": "number"}, times=_WHOLE),
        "A customer's file takes so many seconds to arrive, a little at a time.",
        "Arquivos lentos", {"seconds": 10},
    ),
    "media_fail": Switch(
        None, _optional(_record(_MEDIA_FAILURE)),
        _object(http_status=_WHOLE, cut_after=_WHOLE, times=_WHOLE),
        "The download of a customer's file answers this HTTP status; with cut_after the connection "
        "breaks after so many bytes.", "Arquivos com erro 500", {"http_status": 500, "times": 1},
    ),
    "ninth_digit": Switch(
        "as_given", _one_of("as_given", "with", "without", "other"),
        {"enum": ["as_given", "with", "without", "other"]},
        "Brazilian mobiles: wa_id and from with or without the ninth digit, or the other form of "
        "what was given. A customer's own from_form goes before.", "Nono dígito", "other",
    ),
    "status_order": Switch(
        "natural", _one_of("natural", "reversed"), {"enum": ["natural", "reversed"]},
        "reversed: the statuses of a message leave newest first.", "Ordem dos status", "reversed",
    ),
    "read_without_delivered": Switch(
        False, _boolean, {"type": "boolean"},
        "The status delivered never leaves; read comes alone when the customer reads.",
        "“Lida” sem “entregue”", True,
    ),
    "enforce_window": Switch(
        False, _boolean, {"type": "boolean"},
        "Free-form messages fail with 131047 when the customer has not written to this simulator "
        "for 24 hours.", "Exigir a janela de 24 h", True,
    ),
    "seed": Switch(
        None, _optional(_integer(0, 2**31)), {"type": ["integer", "null"]},
        "Makes shuffles and losses the same each time.", "Semente", 1,
    ),
}  # fmt: skip


class Switches:
    """The state of all switches; safe to ask from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: JSON = {}
        self._random = random.Random()
        self.reset()

    def reset(self) -> None:
        """All faults off."""
        with self._lock:
            self._values = {name: switch.default for name, switch in SWITCHES.items()}
            self._random.seed()

    def change(self, wanted: Any) -> None:
        """Set the switches named, all or none.

        Raises:
            InvalidInput: an unknown switch, or a value it cannot have.
        """
        if not isinstance(wanted, dict):
            raise InvalidInput("body", "must be an object of switches")
        tidy = {}
        for name, value in wanted.items():
            if name not in SWITCHES:
                raise InvalidInput(str(name), "is no switch; there are " + ", ".join(SWITCHES))
            tidy[name] = SWITCHES[name].check(name, value)
        with self._lock:
            self._values.update(tidy)
            if "seed" in tidy:
                self._random.seed(tidy["seed"])

    def __getitem__(self, name: str) -> Any:
        with self._lock:
            return self._values[name]

    def as_json(self) -> JSON:
        """Every switch and its value; counters show what is left of them."""
        with self._lock:
            return {
                name: dict(value) if isinstance(value, dict) else value
                for name, value in self._values.items()
            }

    def loses(self, kind: str) -> bool:
        """Whether this update is to be lost; counts it down."""
        with self._lock:
            loss = self._values["webhook_lose"]
            if loss is None or loss["what"] not in (kind, "both"):
                return False
            if loss["next"] > 0:
                loss["next"] -= 1
                return True
            return loss["share"] > 0 and self._random.random() < loss["share"]

    def shuffle(self, items: list[Any]) -> None:
        """Put them in another order, in place."""
        with self._lock:
            self._random.shuffle(items)

    def next_refusal(self) -> Refusal | None:
        """What this send is refused with, if at all; counts down."""
        taken = self._take("refuse_next")
        return taken and Refusal(taken["code"], taken["http_status"], taken["details"])

    def next_refused_upload(self) -> Refusal | None:
        """What this file is refused with, if at all; counts down."""
        taken = self._take("refuse_next_upload")
        return taken and Refusal(taken["code"], taken["http_status"], taken["details"])

    def next_failure(self) -> Refusal | None:
        """What this send fails with after being accepted, if at all; counts down."""
        taken = self._take("fail_next")
        return taken and Refusal(taken["code"], None, taken["details"])

    def next_timeout(self) -> JSON | None:
        """How this send gets no answer, if at all; counts down."""
        return self._take("graph_timeout")

    def next_media(self, name: str) -> JSON | None:
        """What happens to this file, if anything; counts down.

        Args:
            name: one of the switches that begin with media_.
        """
        return self._take(name)

    def _take(self, name: str) -> Any:
        with self._lock:
            value = self._values[name]
            if value is None:
                return None
            if value["times"] is not None:
                value["times"] -= 1
                if value["times"] <= 0:
                    self._values[name] = None
            return dict(value)
