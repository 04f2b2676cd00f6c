"""Unpacking gzip from pieces."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sync.domain.packing import PIECE, Unpacker
from shared.errors import Permanent


def unpacked(content: bytes, size: int) -> list[bytes]:
    unpacker = Unpacker()
    pieces = []
    for start in range(0, len(content), size):
        pieces += unpacker.feed(content[start : start + size])
    return [*pieces, *unpacker.close()]


@given(content=st.binary(max_size=2_000), size=st.integers(1, 500))
def test_a_packed_file_is_unpacked_however_it_is_cut(content: bytes, size: int) -> None:
    assert b"".join(unpacked(gzip.compress(content), size)) == content


@given(content=st.binary(max_size=500).filter(lambda content: content[:2] != b"\x1f\x8b"))
def test_a_plain_file_passes_through(content: bytes) -> None:
    assert b"".join(unpacked(content, 3)) == content


def test_several_members_and_padding_are_one_file() -> None:
    packed = gzip.compress(b"one,") + gzip.compress(b"two") + b"\0" * 40

    assert b"".join(unpacked(packed, 11)) == b"one,two"


def test_a_well_packed_file_comes_out_in_bounded_pieces() -> None:
    pieces = unpacked(gzip.compress(b"0" * 50_000_000), 10_000_000)

    assert sum(map(len, pieces)) == 50_000_000
    assert max(map(len, pieces)) <= PIECE


def test_a_cut_off_file_is_damaged() -> None:
    with pytest.raises(Permanent, match="ends too early"):
        unpacked(gzip.compress(b"0123456789" * 100)[:-9], 10)


def test_a_broken_file_is_damaged() -> None:
    packed = bytearray(gzip.compress(bytes(range(256)) * 20))
    packed[30] ^= 0xFF

    with pytest.raises(Permanent, match="damaged"):
        unpacked(bytes(packed), 64)
