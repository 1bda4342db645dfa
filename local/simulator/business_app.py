"""The business's own phone, beside the Graph API (Meta: coexistence numbers).

What is written there reaches the customer like any other message, and the business's webhook as an
echo.
"""

from collections.abc import Callable
from typing import Any

from local.simulator.business import Business
from local.simulator.identities import new_wamid
from local.simulator.media import MediaStore
from local.simulator.payloads import Metadata, Update, echo, echo_update
from local.simulator.phones import NO_BUBBLE, Customer, Message, Phones
from local.simulator.samples import Draft, check_draft, sample_body
from local.simulator.switches import InvalidInput, Switches
from local.simulator.timers import Clockwork

__all__ = ["BusinessApp"]

JSON = dict[str, Any]


class BusinessApp:
    """The hands of whoever holds that phone."""

    def __init__(
        self,
        phones: Phones,
        business: Business,
        media: MediaStore,
        switches: Switches,
        timers: Clockwork,
        metadata: Metadata,
        send: Callable[[list[Update]], None],
    ):
        self._phones = phones
        self._business = business
        self._media = media
        self._switches = switches
        self._timers = timers
        self._metadata = metadata
        self._send = send

    def write(self, customer: Customer, draft: Draft) -> str:
        """The business writes to a customer, or in a group; gives the wamid.

        Raises:
            InvalidInput: the type needs what the draft does not have.
        """
        check_draft(draft)
        with self._phones.lock:
            if draft.group and customer not in self._phones.members(draft.group):
                raise InvalidInput("group", "this customer has written nothing in it")
            now = self._timers.now()
            wamid = new_wamid(customer.phone or customer.bsuid, from_customer=False)
            body = sample_body(draft, self._media)
            quoted = draft.reply_to and draft.type not in NO_BUBBLE
            item = echo(
                message_id=wamid,
                timestamp=int(now) if draft.timestamp is None else draft.timestamp,
                type=draft.type,
                body=body,
                own_number=self._metadata.display_phone_number,
                wa_id=customer.wa_id(self._switches["ninth_digit"]),
                user_id=customer.bsuid,
                context={"id": draft.reply_to} if quoted else None,
            )
            if draft.group:
                item["group_id"] = draft.group
            item = {k: v for k, v in (item | (draft.payload or {})).items() if v is not None}
            self._send([echo_update(item)])
            if draft.type in NO_BUBBLE:
                self._phones.apply(draft.type, draft.reply_to or "", "business", body)
                return wamid
            message = Message(
                wamid, "business", draft.type, item.get(draft.type, body), now, "accepted",
                reply_to=draft.reply_to, group_id=draft.group,
                recipient_id=draft.group or customer.wa_id(self._switches["ninth_digit"]),
            )  # fmt: skip
            for member in self._phones.members(draft.group) if draft.group else [customer]:
                self._phones.keep(member, message)
        self._business.follow(customer, message)
        return wamid
