"""Connections to other services."""

from __future__ import annotations

import threading

import requests
from requests.adapters import HTTPAdapter


class SharedSession:
    """One session of requests for many threads, made at first use: after a server forked its
    worker.

    It tries nothing again by itself: a repeated POST may reach somebody twice.
    """

    def __init__(self, *, pool: int, hosts: int) -> None:
        """
        Args:
            pool: connections kept open to a host by all threads together.
            hosts: of so many.
        """
        self._pool, self._hosts = pool, hosts
        self._session: requests.Session | None = None
        self._lock = threading.Lock()

    def get(self) -> requests.Session:
        """The session."""
        with self._lock:
            if self._session is None:
                session = requests.Session()
                adapter = HTTPAdapter(
                    pool_connections=self._hosts, pool_maxsize=self._pool, max_retries=0
                )
                session.mount("https://", adapter)
                session.mount("http://", adapter)
                self._session = session
            return self._session
