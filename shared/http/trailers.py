"""The list of headers of a request whose trailers are dropped."""

from __future__ import annotations

from typing import Final


class _Nothing(list[tuple[bytes, bytes]]):
    """A list that stays empty."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        """Do nothing."""


NOTHING: Final = _Nothing()
