"""Slows down those who guess passwords, over all instances, and locks nobody out for long.

A try with a wrong password counts for

- the **pair** of name and address: strict, nobody else suffers;
- the **address** alone, against one who tries many names: a whole office shares one, so it has many
  tries free and waits a minute at most;
- the **name** alone, against one who guesses from many addresses: anybody can wear it out, so its
  owner must not wait for long, half a minute at most.

A browser in which somebody has logged in before is known for that name (the signed session says
so, also after a logout) and is judged by itself alone, as strictly as a pair: no stranger who
knows the name, and no colleague behind the same address, keeps it waiting.

What is traded: from thousands of addresses some 2,900 guesses a day go through for a name, which
the rules for passwords (commands.py) bear; and while that lasts, its owner may have to try several
times on a browser that is new to them. Who is logged in is never asked any of this.

The counts are in Datastore, in a table that cannot grow: so many buckets of each kind, chosen by a
keyed hash, so that nobody can aim at another's bucket and no address is stored. Two that share a
bucket share its pause; with tens of attendants that takes an attack on all of the table.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cachetools import LRUCache
from google.cloud import ndb

import realtime_events
from chat.platform import datastore

#: Of each kind: 100 bytes each, 26 MB if all four are full.
BUCKETS = 1 << 16
#: A bucket in which nothing failed for so long starts anew.
FORGET_SECONDS = 3600.0
#: Refusals for one reason are logged so often at most, with their number.
LOG_SECONDS = 10.0
#: Closed buckets that a process remembers, so that hammering at them costs no read.
_REMEMBERED = 10_000


@dataclass(frozen=True)
class Rule:
    """How many tries in a row are free, and how long the pauses after the next ones are."""

    free: int
    first_seconds: float
    longest_seconds: float

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures: doubled by each, up to the longest."""
        if failures < self.free:
            return 0.0
        return min(self.longest_seconds, self.first_seconds * 2 ** min(failures - self.free, 20))


RULES = {
    "device": Rule(5, 5, 300),
    "pair": Rule(5, 5, 300),
    "address": Rule(20, 5, 60),
    "name": Rule(20, 5, 30),
}
#: Kinds that nobody shares.
_OWN = frozenset({"device", "pair"})


class LoginAttempts(ndb.Model):
    """What failed of late in one bucket. Key name: its kind and number."""

    failures = ndb.IntegerProperty(default=0, indexed=False)
    failed_at = ndb.IntegerProperty(default=0, indexed=False)  # ms since 1970
    closed_until = ndb.IntegerProperty(default=0, indexed=False)  # ms since 1970


@dataclass(frozen=True)
class Attempt:
    """One try to log in: its buckets, and how the log may speak of it."""

    name_mark: str  # a hash: what is typed for a name may be a password
    network: str  # not the whole address
    buckets: dict[str, str]  # kind → key name


class Throttle:
    """The counts of one application.

    Args:
        secret: keys the hashes; the same on all instances.
        clock: seconds since 1970.
    """

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode()
        self._clock = clock
        self._lock = threading.Lock()
        self._closed: LRUCache[str, int] = LRUCache(maxsize=_REMEMBERED)  # key name → until, ms

    def mark(self, username: str) -> str:
        """A short name for this user name that does not tell it."""
        return self._digest("mark", username).hex()[:8]

    def attempt(self, username: str, address: str | None, device: str | None) -> Attempt:
        """A try to log in.

        Args:
            username: as it was typed, in lower case.
            address: the client's, from which the proxies are already taken away.
            device: the random id of a browser that is known for this name.
        """
        home, network = _networks(address)
        parts: dict[str, tuple[str, ...]]
        if device:
            parts = {"device": (username, device)}
        else:
            parts = {"pair": (username, home), "address": (home,), "name": (username,)}
        buckets = {kind: self._bucket(kind, *values) for kind, values in parts.items()}
        return Attempt(self.mark(username), network, buckets)

    def known_wait(self, attempt: Attempt) -> float:
        """Seconds to wait, as far as this process knows; asks no store."""
        return max(self._known_waits(attempt).values())

    def reason(self, attempt: Attempt) -> str:
        """Which bucket makes it wait, for the log: one text for all that wait for the same."""
        waits = self._known_waits(attempt)
        kind = max(waits, key=lambda each: waits[each])
        name = "" if kind == "address" else f" {attempt.name_mark}"
        network = "" if kind == "name" else f" from {attempt.network}"
        return f"{kind}{name}{network}"

    def _known_waits(self, attempt: Attempt) -> dict[str, float]:
        now = self._now()
        with self._lock:
            return {
                kind: _wait(RULES[kind], self._closed.get(key, 0), now)
                for kind, key in attempt.buckets.items()
            }

    def take(self, attempt: Attempt) -> float:
        """Counts the try as the person's own, unless it has to wait; needs an ndb context.

        Before the password is checked: else those who try at the same moment, on this instance and
        others, would all find the bucket open. `forgive` takes it back. The shared buckets are only
        read, so that an office that comes to work does not write to one entity all at once.

        Returns:
            Seconds to wait; 0.0: it is counted, and the password may be looked at.

        Raises:
            one of `datastore.ERRORS`: the store cannot be asked.
        """

        def count() -> tuple[float, list[LoginAttempts]]:
            now = self._now()
            found = self._read(attempt)
            wait = max(_wait(RULES[kind], each.closed_until, now) for kind, each in found.items())
            if wait:
                return wait, list(found.values())
            return 0.0, self._count(found, _OWN, now)

        wait, changed = realtime_events.transaction(count)
        self._note(changed)
        return wait

    def failed(self, attempt: Attempt) -> None:
        """The password was wrong: counts the try where others count too.

        Raises:
            one of `datastore.ERRORS`: the store cannot be asked.
        """
        if not attempt.buckets.keys() - _OWN:
            return

        def count() -> list[LoginAttempts]:
            found = self._read(attempt)
            return self._count(found, found.keys() - _OWN, self._now())

        self._note(realtime_events.transaction(count))

    def forgive(self, attempt: Attempt) -> None:
        """The password was right: the person's own count starts anew; for use in a transaction.

        Not so the counts that others share: who has one password of a team could guess at the
        others without an end.
        """
        own = [name for kind, name in attempt.buckets.items() if kind in _OWN]
        ndb.delete_multi([ndb.Key(LoginAttempts, name) for name in own])

    def reopen(self, attempt: Attempt) -> None:
        """After `forgive` was committed: this process forgets it too."""
        with self._lock:
            for kind, name in attempt.buckets.items():
                if kind in _OWN:
                    self._closed.pop(name, None)

    def _count(
        self, found: dict[str, LoginAttempts], kinds: Iterable[str], now: int
    ) -> list[LoginAttempts]:
        changed = {kind: found[kind] for kind in kinds if kind in found}
        for kind, each in changed.items():
            if abs(now - each.failed_at) > FORGET_SECONDS * 1000:
                each.failures = 0
            each.failures += 1
            each.failed_at = now
            pause = RULES[kind].pause(each.failures)
            each.closed_until = now + int(pause * 1000) if pause else 0
        datastore.put_many(changed.values())
        return list(changed.values())

    def _note(self, entities: Iterable[LoginAttempts]) -> None:
        with self._lock:
            for each in entities:
                self._closed[each.key.id()] = each.closed_until

    def _read(self, attempt: Attempt) -> dict[str, LoginAttempts]:
        keys = [ndb.Key(LoginAttempts, name) for name in attempt.buckets.values()]
        pairs = zip(attempt.buckets, keys, datastore.get_many(keys), strict=True)
        return {kind: each or LoginAttempts(key=key) for kind, key, each in pairs}

    def _bucket(self, kind: str, *parts: str) -> str:
        number = int.from_bytes(self._digest(kind, *parts)[:4], "big") % BUCKETS
        return f"{kind}-{number:04x}"

    def _digest(self, *parts: str) -> bytes:
        text = "\0".join(parts).encode(errors="replace")
        return hmac.new(self._secret, text, hashlib.sha256).digest()

    def _now(self) -> int:
        return int(self._clock() * 1000)


class Refusals:
    """Logs what may come by the thousand: the first at once, then now and then how many there were.

    Args:
        log: where to.
        clock: seconds since whenever.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: LRUCache[str, tuple[float, int]] = LRUCache(maxsize=1000)  # logged at, since

    def note(self, why: str, wait: float) -> None:
        """Somebody was refused, and told to wait so many seconds."""
        now = self._clock()
        with self._lock:
            logged_at, count = self._seen.get(why, (-math.inf, 0))
            due = now - logged_at >= LOG_SECONDS
            self._seen[why] = (now, 0) if due else (logged_at, count + 1)
        if due:
            text = "login refused: %s, next try in %.0f s (%d since the last such line)"
            self._log.warning(text, why, wait, count + 1)


def in_words(seconds: float) -> str:
    """`30 segundos`, `2 minutos`: never less than what is left."""
    whole = max(1, math.ceil(seconds))
    if whole < 100:
        return "1 segundo" if whole == 1 else f"{whole} segundos"
    return f"{math.ceil(whole / 60)} minutos"


def _wait(rule: Rule, closed_until: int, now: int) -> float:
    left = (closed_until - now) / 1000
    # Longer than any pause: another instance's clock is ahead, and it is not to lock anybody out.
    return left if 0 < left <= rule.longest_seconds else 0.0


def _networks(address: str | None) -> tuple[str, str]:
    """Where a client is at home, and the coarser network that the log may name.

    Whoever has one IPv6 address has the other 2^64 of its network too.
    """
    try:
        ip = ipaddress.ip_address((address or "").split("%")[0])
    except ValueError:
        return address or "", "unknown"
    mapped = getattr(ip, "ipv4_mapped", None)
    if ip.version == 4 or mapped:
        ip = mapped or ip
        return str(ip), str(ipaddress.ip_network(f"{ip}/24", strict=False))
    home = ipaddress.ip_network(f"{ip}/64", strict=False)
    return str(home), str(home.supernet(new_prefix=48))
