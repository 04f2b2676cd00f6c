"""The page of keys: what a form asks for, and where a key itself is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from services.dashboard.domain.key_forms import new_key, state_of
from services.dashboard.store.audit_log import AuditLog
from services.dashboard.store.sessions import Person
from tests.unit.dashboard.site import CSRF, browser

ADMIN = Person("ann (key k1)", "shop", "admin")
NOW = datetime(2026, 11, 29, 22, tzinfo=UTC)
KEY = {
    "id": "k1", "kind": "read", "scopes": ["read"], "label": "storefront",
    "created_at": "2026-11-01T00:00:00Z",
    "expires_at": None, "allowed_origins": None, "requires_origin": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ({}, {"kind": "read", "label": ""}),
        ({"kind": "ingest", "label": "shop", "requires_origin": "yes"}, {"kind": "ingest", "label": "shop"}),
        (
            {"label": "app", "expires": "30d", "origins": "https://a.example, https://b.example"},
            {
                "kind": "read",
                "label": "app",
                "expires": "30d",
                "allowed_origins": ["https://a.example", "https://b.example"],
                "requires_origin": False,
            },
        ),
    ],
)
def test_a_form_becomes_a_request(form: dict[str, str], body: dict[str, Any]) -> None:
    assert new_key(lambda name: form.get(name, "")) == body


@pytest.mark.parametrize(
    ("expires_at", "state"),
    [
        (None, "valid"),
        ("2026-12-29T22:00:00Z", "valid"),
        ("2026-12-01T22:00:00Z", "expires soon"),
        ("2026-11-29T22:00:00Z", "expired"),
    ],
)
def test_a_key_is_valid_until_it_expires(expires_at: str | None, state: str) -> None:
    assert state_of({"expires_at": expires_at}, NOW) == state


class Engine:
    """The engine with one key, which creates another."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"keys": [KEY]})
        if request.method == "DELETE":
            return httpx.Response(204)
        self.bodies.append(orjson.loads(request.content))
        return httpx.Response(201, json={**KEY, "id": "k2", "label": "app", "key": "ek_read_secret"})


async def test_a_new_key_is_shown_once_and_never_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, entries = Engine(), []

    async with browser(monkeypatch, ADMIN, engine) as client:

        async def begin(*entry: Any) -> int:
            entries.append(entry[2:])
            return 1

        monkeypatch.setattr(AuditLog, "begin", begin)
        created = await client.post("/dashboard/keys", data={"csrf": CSRF, "label": "app", "expires": "7d"})
        rotated = await client.post("/dashboard/keys/k1/rotate", data={"csrf": CSRF})
        later = await client.get("/dashboard/keys")
        revoked = await client.post("/dashboard/keys/k1/revoke", data={"csrf": CSRF})

    assert (created.status_code, rotated.status_code, revoked.status_code) == (200, 200, 303)
    assert "ek_read_secret" in created.text
    assert created.headers["cache-control"] == "no-store"
    assert "ek_read_secret" in rotated.text
    assert "ek_read_secret" not in later.text
    assert "your session" in later.text
    assert engine.bodies == [{"kind": "read", "label": "app", "expires": "7d"}, {}]
    assert [entry[:2] for entry in entries] == [
        ("create key", "app"),
        ("rotate key", "k1"),
        ("revoke key", "k1"),
    ]
    assert "ek_read_secret" not in str(entries)
    assert entries[2][2] == KEY


async def test_a_refusal_is_shown_as_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            409, json={"error": "LimitExceeded", "detail": "A tenant may have 200 valid keys."}
        )

    async with browser(monkeypatch, ADMIN, refuse) as client:
        answer = await client.post("/dashboard/keys", data={"csrf": CSRF, "label": "app"})
        page = await client.get("/dashboard/keys")

    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/keys")
    assert "A tenant may have 200 valid keys." in page.text
