"""The string ids of a model's items or users, as plain arrays that can be memory-mapped."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Ids:
    """Distinct strings, numbered from 0.

    `text` holds their UTF-8 bytes end to end, `offsets` where each begins. `digests` are their sorted
    64-bit hashes and `order` the numbers in that order, so that the lookup of one of a million users takes
    microseconds without a dictionary in every process.
    """

    text: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    digests: NDArray[np.uint64]
    order: NDArray[np.int32]

    @classmethod
    def of(cls, strings: Iterable[str]) -> Ids:
        """Return distinct strings with numbers in their order."""
        text, lengths, digests = bytearray(), array("q", [0]), bytearray()
        for string in strings:
            encoded = string.encode()
            text += encoded
            lengths.append(len(encoded))
            digests += blake2b(encoded, digest_size=8).digest()
        hashes = np.frombuffer(digests, "<u8").astype(np.uint64)
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        offsets = np.cumsum(np.frombuffer(lengths, np.int64))
        return cls(np.frombuffer(text, np.uint8), offsets, hashes[order], order)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: int) -> str:
        begin, end = int(self.offsets[number]), int(self.offsets[number + 1])
        return self.text[begin:end].tobytes().decode()

    def find(self, text: str) -> int | None:
        """Return the number of `text`, or None; takes a few microseconds for any number of ids."""
        digest = np.uint64(_digest(text))
        at = int(self.digests.searchsorted(digest))
        while at < len(self.digests) and self.digests[at] == digest:
            number = int(self.order[at])
            if self[number] == text:
                return number
            at += 1
        return None

    def find_all(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the numbers of texts, −1 for unknown ones, a microsecond each: int64[texts]."""
        digests = np.array([_digest(text) for text in texts], np.uint64)
        begins = self.digests.searchsorted(digests)
        ends = self.digests.searchsorted(digests, side="right")
        numbers = np.full(len(texts), -1, np.int64)
        for place in np.flatnonzero(begins < ends).tolist():
            number = int(self.order[begins[place]])
            if ends[place] - begins[place] > 1 or self[number] != texts[place]:
                match = self.find(texts[place])
                number = -1 if match is None else match
            numbers[place] = number
        return numbers

    @cached_property
    def strings(self) -> list[str]:
        """All ids, decoded once: for items, which are few and looked up many at a time."""
        content = self.text.tobytes()
        ends = self.offsets.tolist()
        return [content[begin:end].decode() for begin, end in itertools.pairwise(ends)]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each id: for items."""
        return {text: number for number, text in enumerate(self.strings)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as a model folder keeps them: uint8[bytes] and one cell per id."""
        return {
            "text": self.text,
            "offsets": self.offsets,
            "digests": self.digests,
            "order": self.order,
        }
