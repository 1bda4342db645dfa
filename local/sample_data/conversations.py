"""Sample conversations with a believable history, and the two logins, for a fresh start.

`python -m local.sample_data` fills an empty store and leaves a used one alone. It makes the same
entities as the webhook and the API do, through the same functions, but publishes no events: nobody
is looking yet, and a page reads what is stored.
"""

from __future__ import annotations

import os
import random
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any

import requests
from google.cloud import ndb

from chat.conversation import thread
from chat.conversation.models import Conversation
from chat.incoming import parsing
from chat.people import identity
from chat.people.identity import ContactAlias
from chat.platform import datastore
from chat.team import auth
from chat.team.auth import Attendant
from local.sample_data import files, texts
from message_status import FAILED, SENDING, WamidLink

_MINUTE = 60_000
_DAY = 24 * 60 * _MINUTE
_BRASILIA_MS = 3 * 60 * _MINUTE  # behind UTC, all year
#: By then somebody has looked at what a customer wrote last.
_READ_AFTER_MINUTES = 45
_LOGINS = (("ana", "Ana Beatriz"), ("bruno", "Bruno Costa"))
_ADMIN = "ana"


@dataclass
class _Written:
    entities: list[ndb.Model]
    conversation: Conversation
    phone: str
    name: str
    seed: random.Random
    count: int = 0

    def customer(self, at: int, part: dict[str, Any]) -> None:
        """A message as WhatsApp would send it, read by the webhook's own parser."""
        self.count += 1
        message = {
            "from": self.phone,
            "id": f"wamid.sample.{self.phone}.{self.count}",
            "timestamp": str(at // 1000),
            **part,
        }
        contacts = [{"wa_id": self.phone, "profile": {"name": self.name}}]
        value = {"contacts": contacts, "messages": [message]}
        batch = parsing.parse(parsing.envelope([{"field": "messages", "value": value}]), at + 800)
        if batch.rejected:
            raise ValueError(f"sample message: {batch.rejected[0]}")
        quote = None
        incoming = files.with_file(batch.messages[0])
        entity = thread.append_incoming(self.conversation, incoming, at + 800, quote)
        self.entities.append(entity)

    def attendant(self, at: int, text: str, *, refused: str | None = None) -> None:
        """An answer that WhatsApp took, or refused with a code."""
        self.count += 1
        login, name = _LOGINS[self.seed.randrange(2)]
        message_id = str(uuid.UUID(int=self.seed.getrandbits(128), version=4))
        message = thread.append_outgoing(
            self.conversation, message_id, text, at, author_id=login, author_name=name
        )
        self.entities.append(message)
        facts: dict[str, Any] = {"times": {SENDING: at}, "started_at": at + 20}
        if refused:
            message.status = FAILED
            facts["times"][FAILED] = at + 400
            facts["error"] = {"code": refused}
        else:
            message.status = self.seed.choice(["delivered", "read", "read"])
            facts["wamid"] = f"wamid.sample.out.{self.phone}.{self.count}"
            facts["accepted_at"] = at + 400
            steps = (("sent", 900), ("delivered", 2_300), ("read", 95_000))
            for name, after in steps:
                facts["times"][name] = at + after
                if name == message.status:
                    break
            self.entities.append(WamidLink(id=facts["wamid"], message_id=message_id))
        message.status_facts = facts


def _conversation(sample: texts.Sample, now_ms: int, seed: random.Random) -> list[ndb.Model]:
    """One customer's entities; the last message lies `sample.ended_minutes_ago` back."""
    turns = texts.turns(sample)
    end = now_ms - sample.ended_minutes_ago * _MINUTE
    start = end - sample.days * _DAY
    times = sorted(_office_hours(seed, start, end, len(turns)))
    times[-1] = end
    conversation = Conversation(
        id=f"{seed.getrandbits(64):016x}", created_at=times[0], phone=sample.phone
    )
    alias = ContactAlias(
        id=identity.alias_name(phone=sample.phone), conversation_id=conversation.id
    )
    written = _Written([conversation, alias], conversation, sample.phone, sample.name, seed)
    for at, turn in zip(times, turns, strict=True):
        if turn.by_customer:
            written.customer(at, turn.part)
        else:
            written.attendant(at, turn.text, refused=turn.refused)
    conversation.version = written.count
    if sample.ended_minutes_ago > _READ_AFTER_MINUTES:
        conversation.incoming_read = conversation.incoming_counted
    return written.entities


def _office_hours(seed: random.Random, start: int, end: int, count: int) -> list[int]:
    """Times in bursts, as people write: some minutes of back and forth, then hours of nothing.

    The last burst ends at `end`, whatever time of day that is; the others fall between 8 and 20 h
    in Brasília.
    """
    bursts = max(1, count // 6)
    latest = max(start, end - 25 * _MINUTE)
    begins = []
    for _ in range(bursts - 1):
        local = seed.randint(start, latest) - _BRASILIA_MS
        begins.append(min(local - local % _DAY + seed.randint(8, 19) * 60 * _MINUTE, latest))
    begins = sorted(begins) + [latest - _BRASILIA_MS]
    times = []
    for number in range(count):
        begin = begins[min(number * bursts // count, bursts - 1)] + _BRASILIA_MS
        times.append(min(begin + seed.randint(0, 24 * 60) * 1000, end - 1000))
    return times


def fill(now_ms: int) -> int:
    """Fills an empty store.

    Args:
        now_ms: the newest messages end shortly before it.

    Returns:
        how many conversations were made; 0 when the store was not empty.
    """
    with datastore.context(seconds=120.0, rpc_seconds=30.0):
        if Attendant.query().fetch(1, keys_only=True):
            return 0
        made = 0
        if not Conversation.query().fetch(1, keys_only=True):
            seed = random.Random(7)
            for sample in texts.SAMPLES:
                datastore.put_many(_conversation(sample, now_ms, seed))
                made += 1
        for username, name in _LOGINS:
            auth.save_attendant(username, username, name, username == _ADMIN)
    return made


def introduce(simulator_url: str) -> None:
    """Makes the sample customers known to the simulator, so that they can write from there."""
    with requests.Session() as session:
        session.trust_env = False
        for sample in texts.SAMPLES:
            body = {"phone": sample.phone, "name": sample.name}
            session.post(f"{simulator_url}/customers", json=body, timeout=10).raise_for_status()


def main() -> int:
    """Fills the store that the environment names, or introduces its customers to a simulator."""
    if len(sys.argv) == 3 and sys.argv[1] == "--introduce-to":
        introduce(sys.argv[2])
        return 0
    if not os.environ.get("DATASTORE_EMULATOR_HOST"):
        # Everybody knows these passwords: they must never get into a real Datastore.
        print("DATASTORE_EMULATOR_HOST não está definido: nada foi gravado", file=sys.stderr)
        return 1
    made = fill(time.time_ns() // 1_000_000)
    print(
        f"{made} conversas de exemplo" if made else "o banco de dados já tem conversas", flush=True
    )
    return 0
