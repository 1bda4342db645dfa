"""What tests and people do to the simulator over HTTP: customers, switches, bursts."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from local.simulator.files import Given, drawn, kind_of, type_of
from local.simulator.identities import is_bsuid
from local.simulator.payloads import MAX_UPDATES, encode
from local.simulator.phones import FROM_FORMS, Customer, valid_phone
from local.simulator.samples import AD, Draft, check_draft
from local.simulator.switches import InvalidInput
from local.simulator.world import World

__all__ = ["control_blueprint"]

JSON = dict[str, Any]

MAX_FORM_BYTES = 200_000_000
MAX_FILE_BYTES = 2_000_000_000  # what WhatsApp lets people send each other
MAX_COUNT = 10_000  # messages by one request: ten of Meta's largest POSTs
_CUSTOMER_FIELDS = (
    "phone", "bsuid", "name", "username", "online", "reads", "from_form", "on_whatsapp",
)  # fmt: skip
_APP_FIELDS = ("to", "text", "type", "reply_to", "payload", "timestamp", "emoji", "group")
_MESSAGE_FIELDS = (
    "text", "type", "name", "reply_to", "payload", "contact", "timestamp", "count", "emoji",
    "group", "referral", "forwarded", "sample",
)  # fmt: skip

_FILE_FIELDS = (
    "file", "mime_type", "filename", "caption", "type", "voice", "animated", "size", "sha256",
    "reply_to",
)  # fmt: skip
_YES = ("1", "true")


class Unknown(Exception):
    """Nobody by that number."""


def control_blueprint(world: World) -> Blueprint:
    """The simulator's own routes; every refusal is JSON that names the field."""
    control = Blueprint("control", __name__)
    phones, customers, switches = world.phones, world.customers, world.switches

    @control.errorhandler(InvalidInput)
    def invalid(error: InvalidInput) -> tuple[Response, int]:
        return _error(422, "invalid", error.reason, error.field)

    @control.errorhandler(Unknown)
    def unknown(_: Unknown) -> tuple[Response, int]:
        return _error(404, "unknown_customer", "there is no such customer", "phone")

    @control.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[Response, int]:
        return _error(error.code or 500, "http", error.description or error.name)

    def found(key: str) -> Customer:
        customer = phones.find(key)
        if customer is None:
            raise Unknown
        return customer

    @control.get("/customers")
    def list_customers() -> Response:
        with phones.lock:
            now = world.timers.now()
            everybody = [customer.as_json(now) for customer in phones]
            return jsonify(revision=phones.revision, customers=everybody)

    @control.post("/customers")
    def add_customer() -> tuple[Response, int]:
        wanted = _body(*_CUSTOMER_FIELDS)
        with phones.lock:
            phone = None if wanted.get("phone") is None else valid_phone(wanted["phone"])
            bsuid = _bsuid(wanted)
            known = phones.find(phone) if phone else phones.find(bsuid) if bsuid else None
            username = _text(wanted, "username")
            if phone is None and bsuid is None and not username:
                raise InvalidInput("phone", "is missing; so are username and bsuid")
            changes = _changes(wanted)
            customer = known or phones.add(
                phone=phone, bsuid=bsuid, username=username.lstrip("@") if username else None
            )
            change(customer, changes)
            return shown(customer), 200 if known else 201

    @control.route("/customers/<key>", methods=["GET", "PATCH"])
    def one_customer(key: str) -> Response:
        customer = found(key)
        if request.method == "PATCH":
            names = [name for name in _CUSTOMER_FIELDS if name not in ("phone", "bsuid")]
            change(customer, _changes(_body(*names)))
        return shown(customer)

    def change(customer: Customer, changes: JSON) -> None:
        with phones.lock:
            online = changes.pop("online", None)
            for name, value in changes.items():
                setattr(customer, name, value)
            phones.changed()
        if online is not None:
            (customers.go_online if online else customers.go_offline)(customer)

    def shown(customer: Customer) -> Response:
        with phones.lock:
            return jsonify(customer.as_json(world.timers.now()))

    @control.post("/customers/<key>/messages")
    def write(key: str) -> tuple[Response, int]:
        wanted = _body(*_MESSAGE_FIELDS)
        name = _text(wanted, "name")
        count = _integer(wanted, "count", 1, 1, MAX_COUNT)
        drafts = [_draft(wanted, number, count) for number in range(1, count + 1)]
        if count > 1 and drafts[0].type == "image" and not drafts[0].sample:
            drafts = [replace(each, file=drawn(n)) for n, each in enumerate(drafts, start=1)]
        for draft in drafts:
            check_draft(draft)  # before a customer is made who then has nothing to say
        with phones.lock:
            customer = phones.find_or_add(key)
            if name:
                customer.name = name
        ids = [customers.write(customer, draft) for draft in drafts]
        return jsonify(id=ids[0], ids=ids, customer=customer.key, bsuid=customer.bsuid), 201

    @control.post("/customers/<key>/media")
    def send_files(key: str) -> tuple[Response, int]:
        drafts = _file_drafts()
        for draft in drafts:
            check_draft(draft)
        customer = phones.find_or_add(key)
        ids = [customers.write(customer, draft) for draft in drafts]
        return jsonify(id=ids[0], ids=ids, customer=customer.key, bsuid=customer.bsuid), 201

    @control.post("/business/messages")
    def write_on_the_businesss_phone() -> tuple[Response, int]:
        wanted = _body(*_APP_FIELDS)
        key = _text(wanted, "to")
        if not key:
            raise InvalidInput("to", "is missing: a customer's number, BSUID or @username")
        draft = _draft(wanted, 1, 1)
        check_draft(draft)
        customer = phones.find_or_add(key)
        wamid = world.business_app.write(customer, draft)
        return jsonify(id=wamid, customer=customer.key), 201

    @control.get("/customers/<key>/messages")
    def read_phone(key: str) -> Response:
        customer = found(key)
        everything = request.args.get("all", "") in ("1", "true")
        with phones.lock:
            messages = [
                message.as_json() for message in customer.messages if everything or message.on_phone
            ]
            now = world.timers.now()
            return jsonify(
                revision=phones.revision, customer=customer.as_json(now), messages=messages
            )

    @control.post("/customers/<key>/online")
    def online(key: str) -> Response:
        customer = found(key)
        customers.go_online(customer)
        return shown(customer)

    @control.post("/customers/<key>/offline")
    def offline(key: str) -> Response:
        customer = found(key)
        customers.go_offline(customer)
        return shown(customer)

    @control.post("/customers/<key>/read")
    def read(key: str) -> Response:
        return jsonify(read=customers.read(found(key)))

    @control.post("/customers/<key>/change-number")
    def change_number(key: str) -> Response:
        customer = found(key)
        wanted = _body("new_phone", "variant")
        variant = wanted.get("variant", "both")
        if variant not in ("system", "user_id_update", "both"):
            raise InvalidInput("variant", "must be system, user_id_update or both")
        new_phone = valid_phone(wanted.get("new_phone"), "new_phone")
        customers.change_number(customer, new_phone, variant)
        return shown(customer)

    @control.route("/switches", methods=["GET", "PATCH", "DELETE"])
    def all_switches() -> Response:
        if request.method == "PATCH":
            switches.change(_json_body())
        elif request.method == "DELETE":
            switches.reset()
        if request.method != "GET":
            world.deliveries.switches_changed()
        return jsonify(switches.as_json())

    @control.route("/templates", methods=["GET", "PUT"])
    def templates() -> Response:
        if request.method == "PUT":
            return jsonify(world.templates.put(_json_body()))
        return jsonify(world.templates.page(None, 1000, None))

    @control.delete("/templates/<name>")
    def delete_template(name: str) -> Response:
        return jsonify(deleted=world.templates.remove(name))

    @control.get("/deliveries")
    def deliveries() -> Response:
        return jsonify(world.deliveries.as_json())

    @control.post("/webhooks/raw")
    def raw_webhook() -> Response:
        wanted = _body("body", "bad_signature")
        body = wanted.get("body")
        if not isinstance(body, dict | str):
            raise InvalidInput("body", "must be an object, or a text to send as it is")
        data = body.encode() if isinstance(body, str) else encode(body)
        bad = wanted.get("bad_signature", False)
        return jsonify(status=world.deliveries.send_raw(data, bad_signature=bool(bad)))

    @control.post("/bursts")
    def burst() -> tuple[Response, int]:
        wanted = _body("customers", "messages", "batch", "text")
        people = _integer(wanted, "customers", 1, 1, MAX_COUNT)
        messages = _integer(wanted, "messages", 1, 1, MAX_COUNT)
        if people * messages > 10 * MAX_COUNT:
            raise InvalidInput("messages", f"times customers must be at most {10 * MAX_COUNT}")
        batch = _integer(wanted, "batch", MAX_UPDATES, 1, MAX_UPDATES)
        text = _text(wanted, "text") or "Mensagem"
        ids, posts = customers.burst(people, messages, batch, text)
        return jsonify(messages=len(ids), posts=posts, ids=ids), 202

    @control.post("/reset")
    def reset() -> Response:
        world.reset()
        return jsonify(reset=True)

    return control


def _file_drafts() -> list[Draft]:
    """The files of a form, each a message; the text goes with the first."""
    request.max_content_length = MAX_FORM_BYTES
    request.max_form_memory_size = MAX_FORM_BYTES
    for name in (*request.form, *request.files):
        if name not in _FILE_FIELDS:
            raise InvalidInput(name, "is not known; there are " + ", ".join(_FILE_FIELDS))
    sent = request.files.getlist("file")
    if not sent:
        raise InvalidInput("file", "is missing")
    form, size = request.form, request.form.get("size")
    if size is not None and not (size.isdigit() and int(size) <= MAX_FILE_BYTES):
        raise InvalidInput("size", f"must be a number of bytes up to {MAX_FILE_BYTES}")
    drafts = []
    for number, file in enumerate(sent):
        filename = form.get("filename") or file.filename or None
        mime_type = form.get("mime_type") or type_of(file.mimetype, filename)
        given = Given(
            file.read(),
            mime_type,
            filename,
            size=None if size is None else int(size),
            sha256=form.get("sha256"),
            voice=form.get("voice") in _YES,
            animated=form.get("animated") in _YES,
        )
        kind = form.get("type") or kind_of(mime_type)
        caption = form.get("caption") if number == 0 else None
        reply_to = form.get("reply_to") or None
        drafts.append(Draft(text=caption, type=kind, reply_to=reply_to, file=given))
    return drafts


def _error(status: int, code: str, message: str, field: str | None = None) -> tuple[Response, int]:
    error = {"code": code, "message": message, **({"field": field} if field else {})}
    return jsonify(error=error), status


def _json_body() -> JSON:
    # Whatever the content type says: curl -d calls everything a form.
    if not request.get_data():
        return {}
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise InvalidInput("body", "must be a JSON object")
    return body


def _body(*known: str) -> JSON:
    body = _json_body()
    for name in body:
        if name not in known:
            raise InvalidInput(str(name), "is not known; there are " + ", ".join(known))
    return body


def _text(body: JSON, name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(name, "must be a text")
    return value


def _integer(body: JSON, name: str, default: int, low: int, high: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(name, f"must be an integer from {low} to {high}")
    return value


def _bsuid(body: JSON) -> str | None:
    value = body.get("bsuid")
    if value is not None and not is_bsuid(value):
        raise InvalidInput("bsuid", "must look like BR.13491208655302741918")
    return value


def _changes(body: JSON) -> JSON:
    changes: JSON = {}
    for name in ("online", "reads", "on_whatsapp"):
        if name in body:
            if not isinstance(body[name], bool):
                raise InvalidInput(name, "must be true or false")
            changes[name] = body[name]
    if "from_form" in body:
        if body["from_form"] not in (None, *FROM_FORMS):
            raise InvalidInput("from_form", "must be with, without or null")
        changes["from_form"] = body["from_form"]
    for name in ("name", "username"):
        text = _text(body, name)
        if text:
            changes[name] = text.lstrip("@") if name == "username" else text
    return changes


def _draft(body: JSON, number: int, count: int) -> Draft:
    text = _text(body, "text")
    if text and count > 1:
        text = f"{text} {number}"
    for name in ("payload", "contact"):
        if body.get(name) is not None and not isinstance(body[name], dict):
            raise InvalidInput(name, "must be an object")
    timestamp = body.get("timestamp")
    if isinstance(timestamp, str) and timestamp.isdigit():
        timestamp = int(timestamp)
    if timestamp is not None and (isinstance(timestamp, bool) or not isinstance(timestamp, int)):
        raise InvalidInput("timestamp", "must be whole seconds since 1970")
    referral = AD if body.get("referral") is True else body.get("referral")
    if referral is not None and not isinstance(referral, dict):
        raise InvalidInput("referral", "must be true, or an object")
    forwarded = "once" if body.get("forwarded") is True else body.get("forwarded")
    if forwarded not in (None, False, "once", "frequently"):
        raise InvalidInput("forwarded", "must be true, once or frequently")
    group = _text(body, "group")
    if group is not None and not (group.isascii() and group.isalnum()):
        raise InvalidInput("group", "must be an id of letters and digits")
    return Draft(
        group=group,
        referral=referral,
        forwarded=forwarded or None,
        text=text,
        type=_text(body, "type") or "text",
        reply_to=_text(body, "reply_to"),
        sample=_text(body, "sample"),
        payload=body.get("payload"),
        contact=body.get("contact"),
        no_contact="contact" in body and body["contact"] is None,
        timestamp=timestamp,
        emoji=body["emoji"] if _text(body, "emoji") is not None else "👍",
    )
