"""What the business's sends lead to: the message on the phone, and its statuses.

``sent`` follows acceptance, ``delivered`` when the phone is online, ``read`` when the customer
reads. A reaction only ever gets ``sent``. A failure comes after the acceptance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.simulator.errors import GraphError, error_details
from local.simulator.identities import digits_of, is_bsuid, new_wamid
from local.simulator.media import MediaStore
from local.simulator.payloads import Update, contact, status, status_update
from local.simulator.phones import NO_BUBBLE, Customer, Message, Phones
from local.simulator.switches import Refusal, Switches
from local.simulator.timers import Clockwork
from local.simulator.uploads import problem_of

__all__ = ["Business", "Pace"]

JSON = dict[str, Any]

WINDOW_SECONDS = 86_400  # free-form messages: within 24 hours of the customer's last
REACTION_DAYS = 30  # Meta's: no reaction to an older message
TYPING_SECONDS = 25  # Meta's: the indicator goes after 25 s or with the answer
# How long the statuses of one message are collected when they are to leave newest first.
REVERSE_SECONDS = 0.6


@dataclass(frozen=True)
class Pace:
    """How quick WhatsApp and the customers are, in seconds."""

    sent_after: float = 0.15
    delivered_after: float = 0.3
    read_after: float = 0.8


class Business:
    """The simulated WhatsApp, as far as the business's own messages go."""

    def __init__(
        self,
        phones: Phones,
        switches: Switches,
        timers: Clockwork,
        pace: Pace,
        send: Callable[[list[Update]], None],
        display_phone_number: str,
        media: MediaStore,
    ):
        self._phones = phones
        self._switches = switches
        self._timers = timers
        self._pace = pace
        self._send = send
        self._own_number = display_phone_number
        self._media = media

    def accept(self, request: JSON) -> tuple[JSON, str]:
        """Take a checked request to send; gives the ``contacts`` entry to answer, and the wamid.

        Raises:
            GraphError: there is no such recipient on WhatsApp.
        """
        with self._phones.lock:
            group_id = request["to"] if request.get("recipient_type") == "group" else None
            customer, entry, by_user_id = (
                self._group(str(group_id)) if group_id else self._recipient(request)
            )
            kind = request["type"]
            message = Message(
                id=new_wamid(customer.phone or customer.bsuid, from_customer=False),
                group_id=group_id,
                author="business",
                type=kind,
                body=request[kind],
                at=self._timers.now(),
                status="accepted",
                reply_to=(request.get("context") or {}).get("message_id"),
                callback_data=request.get("biz_opaque_callback_data"),
                recipient_id=entry.get("wa_id"),
                by_user_id=by_user_id,
            )
            for member in self._phones.members(group_id) if group_id else [customer]:
                self._phones.keep(member, message)
                member.typing_until = 0.0
            failure = self._failure(customer, message)
        self.follow(customer, message, failure)
        return entry, message.id

    def follow(self, customer: Customer, message: Message, failure: Refusal | None = None) -> None:
        """The message is on its way: its statuses follow, in a group those of who wrote last."""
        self._timers.call_later(
            self._pace.sent_after, lambda: self._leaves_meta(customer, message, failure)
        )

    def mark_read(self, message_id: str, *, typing: bool) -> None:
        """The business has read this and all the customer's earlier messages.

        Raises:
            GraphError: no customer wrote a message with that id.
        """
        with self._phones.lock:
            found = self._phones.message(message_id)
            if found is None or found[1].author != "customer":
                raise GraphError(131009, "Message ID is invalid.")
            customer, message = found
            if typing:
                customer.typing_until = self._timers.now() + TYPING_SECONDS
            for other in customer.messages:
                if other.author == "customer":
                    other.status = "read"
                if other is message:
                    break
            self._phones.changed()

    def comes_online(self, customer: Customer) -> None:
        """What waited for the phone is delivered, in its order."""
        with self._phones.lock:
            customer.online = True
            self._phones.changed()
            waiting = [m for m in customer.messages if m.status == "sent"]
        for message in waiting:
            if message.type != "reaction":
                self._deliver_soon(customer, message)

    def reads(self, customer: Customer) -> int:
        """The customer reads everything that is on the phone; gives how many were new.

        Nothing while the phone is offline: WhatsApp would only hear of it later.
        """
        with self._phones.lock:
            if not customer.online:
                return 0
            new = [
                message
                for message in customer.messages
                if message.author == "business" and message.status == "delivered"
            ]
            for message in new:
                self._reach(customer, message, "read")
        return len(new)

    def _group(self, group_id: str) -> tuple[Customer, JSON, bool]:
        members = self._phones.members(group_id)
        if not members:
            raise GraphError(131009, "The group does not exist.")
        return members[-1], {"input": group_id, "wa_id": group_id}, False

    def _recipient(self, request: JSON) -> tuple[Customer, JSON, bool]:
        if request.get("to"):  # where both are given, the number goes before
            digits = digits_of(request["to"])
            if digits is None:
                raise GraphError(100, "The parameter to must be a phone number.")
            if not 8 <= len(digits) <= 15:
                raise GraphError(131026, "Receiver is incapable of receiving this message")
            if digits == self._own_number:
                raise GraphError(131021, "Sender and recipient phone number is the same.")
            customer = self._phones.find_or_add(digits)
            wa_id = customer.wa_id(self._switches["ninth_digit"], digits)
            entry = {"input": request["to"], "wa_id": wa_id}
        else:
            user_id = str(request.get("recipient"))
            found = self._phones.find(user_id) if is_bsuid(user_id) else None
            if found is None:
                raise GraphError(131026, "The recipient is no user of WhatsApp.")
            customer = found
            entry = {"input": user_id, "user_id": customer.bsuid}
        if not customer.on_whatsapp:
            raise GraphError(131026, "Receiver is incapable of receiving this message")
        return customer, entry, "wa_id" not in entry

    def _failure(self, customer: Customer, message: Message) -> Refusal | None:
        chosen = self._switches.next_failure()
        if chosen is not None:
            return chosen
        if message.type == "reaction" and not self._can_be_reacted_to(message):
            return Refusal(131009, None, "The message cannot be reacted to.")
        if (problem := self._file_problem(message)) is not None:
            return Refusal(131053, None, problem)
        if message.group_id:
            return None  # a group has no window
        late = customer.last_wrote is None or message.at - customer.last_wrote > WINDOW_SECONDS
        if self._switches["enforce_window"] and message.type != "template" and late:
            return Refusal(131047, None, None)
        return None

    def _file_problem(self, message: Message) -> str | None:
        """Meta looks at a file when a message goes out with it, and tells later."""
        named = message.body.get("id") if isinstance(message.body, dict) else None
        stored = self._media.get(str(named)) if named else None
        return problem_of(message.type, message.body, stored) if stored is not None else None

    def _can_be_reacted_to(self, reaction: Message) -> bool:
        """Meta takes a reaction to any message and tells later, by callback, that there is none of
        this id, or that it is deleted, a reaction itself, or older than 30 days.
        """
        found = self._phones.message(str(reaction.body.get("message_id")))
        if found is None or found[1].type in NO_BUBBLE:
            return False
        return reaction.at - found[1].at <= REACTION_DAYS * 86_400

    def _leaves_meta(self, customer: Customer, message: Message, failure: Refusal | None) -> None:
        with self._phones.lock:
            if failure is not None:
                details = failure.details or error_details(failure.code)
                message.error = (failure.code, details)
                self._reach(customer, message, "failed")
                return
            self._reach(customer, message, "sent")
            if message.type == "reaction":
                wamid = str(message.body.get("message_id"))
                self._phones.apply("reaction", wamid, "business", message.body)
            elif customer.online:
                self._deliver_soon(customer, message)

    def _deliver_soon(self, customer: Customer, message: Message) -> None:
        self._timers.call_later(
            self._pace.delivered_after, lambda: self._arrives(customer, message)
        )

    def _arrives(self, customer: Customer, message: Message) -> None:
        with self._phones.lock:
            # The phone may have gone offline, or come back twice, in between.
            if not customer.online or message.status != "sent":
                return
            self._reach(customer, message, "delivered")
            if customer.reads:
                self._timers.call_later(self._pace.read_after, lambda: self._reads_it(customer))

    def _reads_it(self, customer: Customer) -> None:
        if customer.reads:
            self.reads(customer)

    def _reach(self, customer: Customer, message: Message, state: str) -> None:
        now = self._timers.now()
        message.status = state
        message.times[state] = now
        self._phones.changed()
        if state == "delivered" and self._switches["read_without_delivered"]:
            return
        update = self._status_update(customer, message, state, now)
        if self._switches["status_order"] == "natural" and not message.held_statuses:
            self._send([update])
            return
        if not message.held_statuses:
            self._timers.call_later(REVERSE_SECONDS, lambda: self._let_statuses_go(message))
        message.held_statuses.append(update)

    def _let_statuses_go(self, message: Message) -> None:
        with self._phones.lock:
            held, message.held_statuses = message.held_statuses, []
            self._send(held[::-1])

    def _status_update(
        self, customer: Customer, message: Message, state: str, now: float
    ) -> Update:
        known_by_number = message.recipient_id is not None
        item = status(
            message_id=message.id,
            status=state,
            timestamp=int(now),
            recipient_id=message.recipient_id,
            recipient_type="group" if message.group_id else None,
            recipient_user_id=(
                None
                if message.group_id or (state == "failed" and not message.by_user_id)
                else customer.bsuid
            ),
            biz_opaque_callback_data=message.callback_data,
            category="utility" if message.type == "template" else "service",
            error=message.error,
        )
        if message.group_id:
            return status_update(item, None)
        who = contact(
            wa_id=message.recipient_id if known_by_number else None,
            user_id=customer.bsuid,
            name=customer.name,
            username=customer.username if state in ("delivered", "read") else None,
        )
        return status_update(item, who)
