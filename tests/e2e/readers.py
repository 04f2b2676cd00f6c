"""Readers in the background: every answer must be wholly of one generation."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import httpx

from tests.support.shop import Shop

_PAUSE = 0.1
# Redis has so long to answer; who waits longer for anything is on a busy machine.
_LATE = 0.02
_BUSY_SECONDS = 5


class Readers:
    """Reads the lists of some customers all the time; `torn` holds what no single generation explains.

    A user's list within one generation never changes as long as that user does nothing, so two answers of
    the same generation for the same user must be equal. Popular items in a list's place are a fault too,
    unless the machine is busy: neither Redis nor Postgres may take its time, and then they are promised.
    """

    def __init__(self, shop: Shop, *, users: int = 3) -> None:
        self.shop = shop
        self.users = [shop.buyer(number + 100) for number in range(users)]
        self.count = 0
        self.torn: list[str] = []
        self._lists: dict[tuple[str, int], list[str]] = {}
        self._late_at = -float("inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stop.is_set():
            for user in self.users:
                self._look(user)
            began = time.monotonic()
            time.sleep(_PAUSE)
            self._took(time.monotonic() - began - _PAUSE)

    def _took(self, seconds: float) -> None:
        if seconds > _LATE:
            self._late_at = time.monotonic()

    def _look(self, user: str) -> None:
        began = time.monotonic()
        try:
            answer = self.shop.recommendations(user, service="recommender")
        except (httpx.TransportError, AssertionError) as error:
            self.torn.append(f"{user} was not answered: {error}")
            return
        self.count += 1
        self._took(time.monotonic() - began)
        if answer["source"] == "popular":
            if time.monotonic() - self._late_at > _BUSY_SECONDS:
                self.torn.append(f"{user} got popular items instead of the list")
            return
        ids = [item["product_id"] for item in answer["recommendations"]]
        known = self._lists.setdefault((user, answer["generation"]), ids)
        if known != ids:
            self.torn.append(f"{user} in generation {answer['generation']}: {known} and then {ids}")
