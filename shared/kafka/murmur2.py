"""MurmurHash2 as Kafka's default partitioner computes it, in half of the time of aiokafka's version.

https://github.com/apache/kafka/blob/4.0.0/clients/src/main/java/org/apache/kafka/common/utils/Utils.java
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def murmur2(content: bytes) -> int:
    """Return the hash of bytes, from 0 to 2³² - 1."""
    factor, bits = 0x5BD1E995, 0xFFFFFFFF
    length = len(content)
    hashed = 0x9747B28C ^ length
    for word in _words(length >> 2)(content):
        mixed = word * factor & bits
        hashed = (hashed * factor & bits) ^ ((mixed ^ mixed >> 24) * factor & bits)
    if rest := length & 3:
        hashed = (hashed ^ int.from_bytes(content[-rest:], "little")) * factor & bits
    hashed = (hashed ^ hashed >> 13) * factor & bits
    return hashed ^ hashed >> 15


@lru_cache(maxsize=256)
def _words(count: int) -> Callable[[bytes], tuple[int, ...]]:
    """Return a function that reads the first words of 32 bits; keys are short, so there are few lengths."""
    return Struct(f"<{count}I").unpack_from
