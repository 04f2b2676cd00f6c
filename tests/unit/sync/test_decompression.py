"""Unpacking gzip from pieces."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sync.domain.decompression import PIECE_BYTES, Decompressor
from services.sync.domain.limits import MIN_RATIO_BYTES, Limits
from shared.errors import Permanent


def unpacked(
    content: bytes, size: int, limits: Limits | None = None, seen: list[bytes] | None = None
) -> list[bytes]:
    unpacker = Decompressor(limits)
    pieces = [] if seen is None else seen
    for start in range(0, len(content), size):
        for plain in unpacker.feed(content[start : start + size]):
            pieces.append(plain)
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
    pieces = unpacked(gzip.compress(b"0" * 50_000_000), 10_000_000, Limits(max_unpack_ratio=2_000))

    assert sum(map(len, pieces)) == 50_000_000
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_a_cut_off_file_is_damaged() -> None:
    with pytest.raises(Permanent, match="ends too early"):
        unpacked(gzip.compress(b"0123456789" * 100)[:-9], 10)


def test_a_broken_file_is_damaged() -> None:
    packed = bytearray(gzip.compress(bytes(range(256)) * 20))
    packed[30] ^= 0xFF

    with pytest.raises(Permanent, match="damaged"):
        unpacked(bytes(packed), 64)


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused_early(size: int) -> None:
    packed = gzip.compress(b"x\n" * 3_000_000)
    seen: list[bytes] = []

    with pytest.raises(Permanent, match="more than 100 times its size"):
        unpacked(packed, size, seen=seen)

    assert sum(map(len, seen)) <= max(MIN_RATIO_BYTES, 100 * len(packed))


def test_a_small_file_of_equal_rows_may_pack_as_well_as_it_does() -> None:
    content = b"1,2026-03-01,a,1\n" * 60_000

    assert b"".join(unpacked(gzip.compress(content), 1_000)) == content


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_no_file_may_hold_more_than_is_allowed(pack: Callable[[bytes], bytes]) -> None:
    limits = Limits(max_unpacked_bytes=10_000)

    assert len(b"".join(unpacked(pack(b"0" * 10_000), 700, limits))) == 10_000
    with pytest.raises(Permanent, match="more than 10,000 bytes"):
        unpacked(pack(b"0" * 10_001), 700, limits)


@given(size=st.integers(1, 60))
def test_what_follows_the_gzip_data_and_is_none_is_damage_with_its_place(size: int) -> None:
    packed = gzip.compress(b"one,") + gzip.compress(b"two", mtime=0)

    with pytest.raises(Permanent, match=f"ends at byte {len(packed)}, and the bytes after it are not gzip"):
        unpacked(packed + b"3,x\n", size)
