"""The moment at which a process begins to end, for answers that have no end of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final


class Shutdown:
    """Calls its listeners once, when the server stops to accept connections and waits for running answers."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the process begins to end."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        """Stop calling a listener; do nothing for an unknown one."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def begin(self) -> None:
        """Call the listeners."""
        for listener in list(self._listeners):
            listener()


SHUTDOWN: Final = Shutdown()
"""The shutdown of this process."""
