"""Gzipped bodies: read whole, within limits."""

from __future__ import annotations

import gzip

import pytest
from fastapi import Request

from shared.errors import ApiError
from shared.http.request_bodies import members_with, read_body


async def unpacked(body: bytes, limit: int = 100_000) -> bytes:
    sent = False

    async def receive() -> dict[str, object]:
        nonlocal sent
        message = {"type": "http.request", "body": b"" if sent else body, "more_body": False}
        sent = True
        return message

    return await read_body(Request({"type": "http", "headers": []}, receive), 100_000, unpacked_limit=limit)


async def test_every_member_of_a_gzipped_body_is_read() -> None:
    body = gzip.compress(b"[1,") + gzip.compress(b"") + gzip.compress(b"2]") + b"\0\0"

    assert await unpacked(body) == b"[1,2]"


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        (gzip.compress(b"1") + b"2", 400, "ends at byte 21"),
        (gzip.compress(b"1") + gzip.compress(b"2")[:-1], 400, "too early"),
        (gzip.compress(b"") * 101, 400, "more than 100 members"),
        (gzip.compress(b"0" * 600) + gzip.compress(b"0" * 500), 413, "larger than 1000 bytes"),
    ],
    ids=["trailing byte", "cut off", "many members", "too large"],
)
async def test_what_can_not_be_read_whole_is_refused(body: bytes, status: int, what: str) -> None:
    with pytest.raises(ApiError, match=what) as caught:
        await unpacked(body, 1_000)

    assert caught.value.status == status


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (b'{"user_id": null}', {"user_id": None}),
        (b'{"campaignArn": "a", "context": {"user_id": "x"}}', None),
        (b'["user_id"]', None),
        (b'{"user_id"', None),
        (b"{}", None),
    ],
)
def test_a_member_of_the_object_itself_tells_formats_apart(body: bytes, members: object) -> None:
    assert members_with(body, "user_id") == members
