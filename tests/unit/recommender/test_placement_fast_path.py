"""The fast path of placements takes plain queries only."""

from __future__ import annotations

from typing import Any

import pytest

from services.recommender.api.placement_fast_path import parsed


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (b"", {}),
        (b"user_id=u1&limit=7", {"user_id": "u1", "limit": 7}),
        (b"userId=a%20b%26c&sessionId=s+1", {"user_id": "a b&c", "session_id": "s 1"}),
        (b"productId=i1&cart=a,b%2Cc", {"item_id": "i1", "cart": ("a", "b", "c")}),
        (b"explain=1&city=K%C3%B6ln", {"explain": True, "city": "Köln"}),
    ],
)
def test_known_parameters_are_read(query: bytes, fields: dict[str, Any]) -> None:
    assert parsed(query) == fields


@pytest.mark.parametrize(
    "query",
    [
        b"other=1",
        b"user_id=",
        b"user_id",
        b"user_id=a&userId=a",
        b"limit=0",
        b"limit=101",
        b"limit=1.5",
        b"explain=maybe",
        b"user_id=%00",
        b"user_id=%FF",
        b"user_id=" + b"x" * 257,
        b"cart=" + b",".join([b"i"] * 101),
        b"cart=" + b"x" * 257,
        "user_id=ü".encode(),
        b"&",
    ],
)
def test_the_application_handles_everything_else(query: bytes) -> None:
    assert parsed(query) is None
