"""Readers in the background: every answer must be wholly of one generation."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import httpx

from tests.support.shop import Shop


class Readers:
    """Reads the lists of some customers all the time; `torn` holds what no single generation explains.

    A user's list within one generation never changes as long as that user does nothing, so two answers of
    the same generation for the same user must be equal.
    """

    def __init__(self, shop: Shop, *, users: int = 8) -> None:
        self.shop = shop
        self.users = [shop.buyer(number + 100) for number in range(users)]
        self.count = 0
        self.torn: list[str] = []
        self._lists: dict[tuple[str, int], list[str]] = {}
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
            time.sleep(0.02)

    def _look(self, user: str) -> None:
        try:
            answer = self.shop.recommended(user, service="recommender")
        except (httpx.TransportError, AssertionError) as error:
            self.torn.append(f"{user} was not answered: {error}")
            return
        self.count += 1
        if answer["source"] == "popular":
            self.torn.append(f"{user} got popular items instead of the list")
            return
        ids = [item["product_id"] for item in answer["recommendations"]]
        known = self._lists.setdefault((user, answer["generation"]), ids)
        if known != ids:
            self.torn.append(f"{user} in generation {answer['generation']}: {known} and then {ids}")
