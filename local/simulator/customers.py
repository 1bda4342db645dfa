"""What customers do: write, go away and come back, read, change their number."""

from collections.abc import Callable, Sequence
from typing import Any

from local.simulator.business import Business
from local.simulator.identities import new_bsuid, new_wamid
from local.simulator.media import MediaStore
from local.simulator.payloads import (
    MAX_UPDATES,
    Metadata,
    Update,
    contact,
    message,
    message_update,
    system_message,
    user_id_update,
)
from local.simulator.phones import NO_BUBBLE, Customer, Message, Phones
from local.simulator.samples import Draft, check_draft, sample_body
from local.simulator.switches import InvalidInput, Switches
from local.simulator.timers import Clockwork

__all__ = ["Customers"]

JSON = dict[str, Any]

BURST_FIRST_PHONE = 5511900000000  # bursts' customers are numbered on from here


class Customers:
    """The hands of the customers."""

    def __init__(
        self,
        phones: Phones,
        business: Business,
        media: MediaStore,
        switches: Switches,
        timers: Clockwork,
        metadata: Metadata,
        send: Callable[[Sequence[Update]], None],
        send_together: Callable[[Sequence[Update]], None],
    ):
        self._phones = phones
        self._business = business
        self._media = media
        self._switches = switches
        self._timers = timers
        self._metadata = metadata
        self._send = send
        self._send_together = send_together

    def write(self, customer: Customer, draft: Draft) -> str:
        """The customer sends a message; gives its wamid.

        Raises:
            InvalidInput: the type needs what the draft does not have.
        """
        check_draft(draft)
        with self._phones.lock:
            update = self._compose(customer, draft)
            self._send([update])
        return str(update.message_id)

    def burst(self, customers: int, messages: int, batch: int, text: str) -> tuple[list[str], int]:
        """Many customers write at once: M rounds of one message each.

        Args:
            customers: how many people; the same numbers in every burst.
            messages: how many each of them writes.
            batch: updates a POST, 1 to 1000.

        Returns:
            The wamids, and the number of POSTs.
        """
        with self._phones.lock:
            people = [
                self._phones.find_or_add(str(BURST_FIRST_PHONE + number))
                for number in range(customers)
            ]
            updates = [
                self._compose(person, Draft(text=f"{text} {turn}"))
                for turn in range(1, messages + 1)
                for person in people
            ]
        size = min(batch, MAX_UPDATES)
        parts = [updates[start : start + size] for start in range(0, len(updates), size)]
        for part in parts:
            self._send_together(part)
        return [str(update.message_id) for update in updates], len(parts)

    def go_online(self, customer: Customer) -> None:
        """Back in reach: what waited is delivered."""
        self._business.comes_online(customer)

    def go_offline(self, customer: Customer) -> None:
        """Out of reach: nothing is delivered."""
        with self._phones.lock:
            customer.online = False
            self._phones.changed()

    def read(self, customer: Customer) -> int:
        """Reads everything on the phone; gives how many messages were new."""
        return self._business.reads(customer)

    def change_number(self, customer: Customer, new_phone: str, variant: str) -> None:
        """Takes another number; WhatsApp gives another BSUID with it and tells the business.

        Args:
            variant: ``system`` (the system message), ``user_id_update`` (the webhook field of
                that name) or ``both``, as Meta does.

        Raises:
            InvalidInput: the number is somebody else's.
        """
        with self._phones.lock:
            mode = self._switches["ninth_digit"]
            old_wa_id, old_bsuid = customer.wa_id(mode), customer.bsuid
            self._phones.renumber(customer, new_phone, new_bsuid())
            now = int(self._timers.now())
            updates = []
            if variant in ("system", "both"):
                updates.append(
                    system_message(
                        message_id=new_wamid(old_wa_id or old_bsuid, from_customer=True),
                        timestamp=now,
                        old_wa_id=old_wa_id,
                        new_wa_id=customer.wa_id(mode),
                        new_user_id=customer.bsuid,
                        name=customer.name,
                        old_user_id=old_bsuid,
                    )
                )
            if variant in ("user_id_update", "both"):
                updates.append(
                    user_id_update(
                        timestamp=now,
                        wa_id=customer.wa_id(mode),
                        previous=old_bsuid,
                        current=customer.bsuid,
                        name=customer.name,
                        contact=self._contact(customer),
                    )
                )
            self._send(updates)

    def acknowledged(self, updates: Sequence[Update]) -> None:
        """The business answered 200: on the phone, the customer's message gets two ticks."""
        with self._phones.lock:
            for update in updates:
                found = self._phones.message(update.message_id or "")
                if update.kind == "messages" and found and found[1].status == "sent":
                    found[1].status = "delivered"
                    self._phones.changed()

    def _compose(self, customer: Customer, draft: Draft) -> Update:
        now = self._timers.now()
        wa_id = customer.wa_id(self._switches["ninth_digit"])
        message_id = new_wamid(wa_id or customer.bsuid, from_customer=True)
        kind = draft.type
        body = sample_body(draft, self._media)
        item = message(
            message_id=message_id,
            timestamp=int(now) if draft.timestamp is None else draft.timestamp,
            type=kind,
            body=body,
            wa_id=wa_id,
            user_id=customer.bsuid,
            context=self._context(draft, wa_id),
        )
        if draft.group:
            item["group_id"] = draft.group
            self._phones.join(draft.group, customer)
        if draft.referral:
            item["referral"] = draft.referral
        item = _overlaid(item, draft.payload)
        entry = None if draft.no_contact else _overlaid(self._contact(customer), draft.contact)
        shown_at = now if draft.timestamp is None else float(draft.timestamp)
        self._show(customer, item, message_id, body, shown_at, draft)
        customer.last_wrote = max(customer.last_wrote or 0.0, shown_at)
        update = message_update(item, entry)
        update.message_id = message_id
        return update

    def _show(
        self, customer: Customer, item: JSON, wamid: str, body: Any, at: float, draft: Draft
    ) -> None:
        kind = item.get("type", draft.type)
        shown = item.get(kind, body)
        if kind in NO_BUBBLE:
            self._phones.apply(kind, draft.reply_to or "", "customer", shown)
            return
        self._phones.keep(
            customer,
            Message(
                wamid, "customer", kind, shown, at, "sent",
                reply_to=draft.reply_to, group_id=draft.group,
            ),
        )  # fmt: skip

    def _context(self, draft: Draft, wa_id: str | None) -> JSON | None:
        if draft.forwarded:
            often = {"frequently_forwarded": True} if draft.forwarded == "frequently" else {}
            return {"forwarded": True, **often}
        if draft.reply_to is None or draft.type in NO_BUBBLE:
            return None
        found = self._phones.message(draft.reply_to)
        by_business = found is None or found[1].author == "business"
        author = self._metadata.display_phone_number if by_business else wa_id
        return {"from": author, "id": draft.reply_to} if author else {"id": draft.reply_to}

    def _contact(self, customer: Customer) -> JSON:
        return contact(
            wa_id=customer.wa_id(self._switches["ninth_digit"]),
            user_id=customer.bsuid,
            name=customer.name,
            username=customer.username,
        )


def _overlaid(base: JSON, over: JSON | None) -> JSON:
    if over is None:
        return base
    if not isinstance(over, dict):
        raise InvalidInput("payload", "must be an object")
    merged = {**base, **over}
    return {key: value for key, value in merged.items() if value is not None}
