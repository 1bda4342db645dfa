"""Says what a storm broke: nothing lost, nothing doubled, order kept, on every side.

Pure: all that was seen comes in, and sentences come out. None of them is good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

#: Ticks: WhatsApp has sent it. The others of a message of ours are `sending` and `failed`.
TICKED = ("sent", "delivered", "read", "played")
#: What the ticks of a bubble may show for a status, as static/message_status.js draws it.
_SHOWN = {"read": "delivered", "played": "delivered"}
#: Who wrote what neither a customer nor an attendant wrote.
CLAUDE = "claude"
LINE = "line"  # the chat itself
TO_PEOPLE = "to people"  # the chat itself, of a take-over or a hand-over
#: Sentences of one kind that are told in full; the rest is counted.
_TOLD = 3


@dataclass(frozen=True)
class Stored:
    """One message as the API tells it."""

    id: str
    outgoing: bool
    arrival: int
    status: str = ""
    error: str = ""  # its code
    by: str = ""  # CLAUDE, LINE or TO_PEOPLE; "" for customers and attendants

    @property
    def in_doubt(self) -> bool:
        """Whether the attendant is told that nobody knows whether it was sent."""
        return self.status == "sending" and self.error == "unconfirmed"


@dataclass
class Chat:
    """One customer's chat at the end, from all sides.

    Args:
        name: for the sentences.
        written: ids of what the customer wrote, in their order.
        sent: ids of what was sent, by the attendant or by Claude, in the order of sending.
        on_phone: ids of those that came to the customer's phone, in order, with repeats.
        thread: what the API tells, oldest first.
        unread: the number in the list; None where somebody was reading all the while.
        quoted: of a chat that was given to Claude, what each of its answers answers, by its id.
    """

    name: str
    written: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    on_phone: list[str] = field(default_factory=list)
    thread: list[Stored] = field(default_factory=list)
    unread: int | None = None
    quoted: dict[str, list[str]] | None = None

    @property
    def with_people(self) -> bool:
        """Whether Claude handed the chat over, or people took it over."""
        return any(each.by == TO_PEOPLE for each in self.thread)

    @property
    def unanswered(self) -> list[str]:
        """Of a chat of Claude's, the questions that wait."""
        answered = {name for names in (self.quoted or {}).values() for name in names}
        mine = self.quoted is not None and not self.with_people
        return [name for name in self.written if mine and name not in answered]

    @property
    def doubtful(self) -> list[str]:
        """What the attendant is asked about and the customer never got."""
        return [each.id for each in self.thread if each.in_doubt and each.id not in self.on_phone]


def of_chat(chat: Chat) -> list[str]:
    """What is wrong with a chat."""
    incoming = [
        each.id for each in chat.thread if not each.outgoing and each.by not in (LINE, TO_PEOPLE)
    ]
    outgoing = [each.id for each in chat.thread if each.outgoing]
    faults = [
        *_compared(f"{chat.name}: from the customer", chat.written, incoming),
        *_compared(f"{chat.name}: from the attendant", chat.sent, outgoing),
        *_of_phone(chat),
        *(_of_claude(chat) if chat.quoted is not None else []),
    ]
    arrivals = [each.arrival for each in chat.thread]
    if sorted(arrivals) != list(range(1, len(arrivals) + 1)):
        faults.append(f"{chat.name}: the messages are not numbered from 1 to {len(arrivals)}")
    if chat.unread is not None and chat.unread != (wanted := _unread(chat.thread)):
        faults.append(f"{chat.name}: {chat.unread} unread, not {wanted}")
    return faults


def _compared(what: str, wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    """Lost, doubled, strange, and out of order."""
    faults, counts = [], Counter(found)
    lost = [each for each in wanted if each not in counts]
    faults += _told(f"{what}: lost", lost)
    faults += _told(f"{what}: doubled", [each for each, times in counts.items() if times > 1])
    faults += _told(f"{what}: never written", counts.keys() - set(wanted))
    here = [each for each in wanted if each in counts]
    if list(dict.fromkeys(each for each in found if each in set(wanted))) != here:
        faults.append(f"{what}: not in the order of writing")
    return faults


def _of_phone(chat: Chat) -> list[str]:
    """What came to the phone, and what the attendant is told of it."""
    what, counts = f"{chat.name}: on the phone", Counter(chat.on_phone)
    known = {each.id: each for each in chat.thread if each.outgoing}
    # One that is in doubt may have been sent or not; that is what the attendant is told.
    asked = {name for name, each in known.items() if each.in_doubt}
    silently = [each for each in chat.sent if each not in counts and each not in asked]
    unticked = [name for name in counts if name in known and known[name].status not in TICKED]
    ticked = [each.id for each in known.values() if each.status in TICKED]
    faults = _told(f"{what}: lost", silently)
    faults += _told(f"{what}: doubled", [each for each, times in counts.items() if times > 1])
    faults += _told(f"{what}: never sent", counts.keys() - set(chat.sent))
    faults += _told(f"{what}, and without a tick", unticked)
    faults += _told(f"{what}: not there in spite of a tick", set(ticked) - counts.keys())
    if list(dict.fromkeys(chat.on_phone)) != [each for each in chat.sent if each in counts]:
        faults.append(f"{what}: not in the order of sending")
    return faults


def _of_claude(chat: Chat) -> list[str]:
    """Each question answered once or left to people, and nothing answered that people have."""
    what, quoted = f"{chat.name}: Claude", chat.quoted or {}
    counts = Counter(name for names in quoted.values() for name in names)
    people = min((each.arrival for each in chat.thread if each.by == TO_PEOPLE), default=None)
    mine = [each for each in chat.thread if each.by == CLAUDE]
    late = [each.id for each in mine if people is not None and each.arrival > people]
    faults = _told(f"{what} did not answer", chat.unanswered)
    faults += _told(f"{what} answered twice", [name for name, n in counts.items() if n > 1])
    faults += _told(f"{what} answered what nobody asked", counts.keys() - set(chat.written))
    faults += _told(
        f"{what} answered nothing by", [each.id for each in mine if not quoted[each.id]]
    )
    faults += _told(f"{what} wrote in a chat that people have", late)
    if not chat.with_people:
        faults += _told(f"{what}'s answer did not arrive, and nobody was told", chat.doubtful)
    return faults


def _unread(thread: Iterable[Stored]) -> int:
    """The customer's messages that came after the attendant's last, which reads all that is there.
    Claude reads nothing.
    """
    told = [each for each in thread if each.by not in (LINE, TO_PEOPLE)]
    answered = max((m.arrival for m in told if m.outgoing and m.by != CLAUDE), default=0)
    return sum(not each.outgoing and each.arrival > answered for each in told)


def of_listener(
    name: str, heard: Iterable[str], ticked: Iterable[str], resets: int, chats: Sequence[Chat]
) -> list[str]:
    """What a listener of the events missed. Hearing of a message twice changes nothing on a screen.

    Args:
        name: for the sentences.
        heard: ids of the messages that it was told to be new.
        ticked: ids of those that it was told to be sent.
        resets: how often it was told to read everything again.
        chats: all of them.
    """
    there = [each for chat in chats for each in chat.thread]
    sent = {each.id for each in there if each.status in TICKED}
    faults = _told(f"{name}: not told of", {each.id for each in there} - set(heard))
    faults += _told(f"{name}: not told of the tick of", sent - set(ticked))
    if resets:
        faults.append(f"{name}: had to read everything again, {resets} times")
    return faults


@dataclass
class Page:
    """What a real page shows at the end, without having been loaded again.

    Args:
        bubbles: (id, ticks) of the open chat, from above; "" where there are none.
        rows: ids of the chats in the list, from above.
        errors: what its scripts raised.
        loads: how often it was loaded.
    """

    bubbles: list[tuple[str, str]]
    rows: list[str]
    errors: list[str] = field(default_factory=list)
    loads: int = 1


def of_page(page: Page, thread: Sequence[Stored], rows: Sequence[str]) -> list[str]:
    """What is wrong with a page.

    Args:
        page: what it shows.
        thread: of the chat that is open.
        rows: ids of all chats, newest first.
    """
    shown = [name for name, _ in page.bubbles]
    faults = [f"the page: a script failed: {error}" for error in page.errors[:_TOLD]]
    if page.loads != 1:
        faults.append(f"the page: loaded {page.loads} times")
    wanted = [each.id for each in thread[-len(shown) :]] if shown else []
    if not shown and thread:
        faults.append("the page: the open chat is empty")
    elif shown != wanted:
        faults += _compared("the page", wanted, shown) or ["the page: not the end of the chat"]
    status = {each.id: each.status for each in thread if each.outgoing}
    wrong = [n for n, ticks in page.bubbles if n in status and ticks != _ticks(status[n])]
    faults += _told("the page: wrong ticks", wrong)
    if page.rows != list(rows[: len(page.rows)]) or (rows and not page.rows):
        faults.append("the page: the list is not in the order of the newest messages")
    return faults


def _ticks(status: str) -> str:
    return _SHOWN.get(status, status)


def _told(what: str, names: Iterable[str]) -> list[str]:
    names = sorted(names)
    if not names:
        return []
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return [f"{what}: {', '.join(names[:_TOLD])}{more}"]
