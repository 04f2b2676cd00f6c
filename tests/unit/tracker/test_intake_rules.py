"""A tenant's own event types, and events that are kept out of personalization."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.tracker.app import build
from services.tracker.domain.intake_rules import (
    DEFAULT_RULES,
    NO_CIRCUMSTANCES,
    Circumstances,
    IntakeRules,
    Rules,
    circumstances,
)
from services.tracker.settings import Settings
from services.tracker.store import IntakeRulesTable
from tests.unit.tracker.clients import KEY, SHOP, Tracker, running_tracker

HEADERS = {"x-api-key": KEY}
VIEW = {"event_type": "view", "user_id": "u", "item_id": "i"}
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
CUBOT = "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 Chrome/91.0 Mobile Safari/537.36"


def rules(**changes: Any) -> IntakeRules:
    return IntakeRules(Rules(**changes))


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("Artikel gesehen", "view"),
        ("artikel_GESEHEN", "view"),
        ("Product Viewed", "purchase"),
        ("Product Added", "add_to_cart"),
        ("Rated", "rated"),
    ],
)
def test_a_shop_adds_its_own_names_of_events(name: str, event_type: str) -> None:
    own = rules(event_types={"Artikel gesehen": "Product Viewed", "product viewed": "purchase"})

    assert own.canonical_type(name) == event_type


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, None),
        ({"consent": True}, None),
        ({"consent": False}, "consent"),
        ({"consent": {"Personalization": False}}, "consent"),
        ({"consent": {"analytics": False}}, None),
        ({"context": {"consent": {"categoryPreferences": {"personalization": False}}}}, "consent"),
        ({"context": {"consent": {"categoryPreferences": {"personalization": True}}}}, None),
        ({"context": {"consentManagement": {"deniedConsentIds": ["personalization"]}}}, "consent"),
        ({"request": {"consent": {"ad_personalization": "DENIED"}}, "event": {}}, "consent"),
        ({"request": {"consent": {"ad_personalization": "GRANTED"}}, "event": {}}, None),
        ({"request": {}, "event": {"params": {"traffic_type": "internal"}}}, "internal"),
        ({"context": {"userAgent": GOOGLEBOT}}, "bot"),
        ({"properties": {"$raw_user_agent": GOOGLEBOT}}, "bot"),
        ({"ua": GOOGLEBOT}, "bot"),
        ({"user_agent": GOOGLEBOT}, "bot"),
        ({"ua": CUBOT}, None),
        ({"context": "text", "properties": 7, "consent": "no"}, None),
    ],
)
def test_the_default_rules(record: dict[str, Any], reason: str | None) -> None:
    assert DEFAULT_RULES.withheld("u", circumstances(record), NO_CIRCUMSTANCES) == reason


def test_a_category_that_is_not_named_may_count_as_denied() -> None:
    strict = rules(consent_categories=["marketing"], missing_consent="denied")

    reasons = [
        strict.withheld("u", Circumstances(consent=consent), NO_CIRCUMSTANCES)
        for consent in ({}, {"marketing": True}, {"analytics": True}, {"": True})
    ]

    assert reasons == ["consent", None, "consent", None]


def test_staff_and_networks_are_internal() -> None:
    own = rules(internal_users=["staff"], internal_networks=["192.0.2.9/24"], bot_agents=["shop-monitor"])
    office, home = Circumstances(address="192.0.2.77"), Circumstances(address="198.51.100.1")

    assert own.withheld("staff", NO_CIRCUMSTANCES, home) == "internal"
    assert own.withheld("u", NO_CIRCUMSTANCES, office) == "internal"
    assert own.withheld("u", home, office) is None
    assert own.withheld("u", Circumstances(address="nowhere"), office) is None
    assert own.withheld("u", Circumstances(user_agent="Shop-Monitor 1"), home) == "bot"
    assert rules(withhold_bots=False).withheld("u", Circumstances(user_agent=GOOGLEBOT), home) is None


@pytest.mark.parametrize(
    "wrong",
    [{"internal_networks": ["office"]}, {"bot_agents": ["x"]}, {"unknown": 1}, {"event_types": {"": "view"}}],
)
def test_wrong_rules_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rules(**wrong)


async def test_a_bot_that_runs_a_page_is_marked_and_an_sdk_is_not(tracker: Tracker) -> None:
    for headers in ({"origin": SHOP, "user-agent": GOOGLEBOT}, {"user-agent": "analytics-robot/1.0"}):
        await tracker.http.post("/v1/events", json=VIEW, headers=HEADERS | headers)

    assert [event.withheld for event in tracker.events] == ["bot", None]


async def test_every_format_follows_the_rules(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    own = rules(event_types={"gesehen": "view"}, internal_users=["staff"])

    async def of(_: IntakeRulesTable, __: str) -> IntakeRules:
        return own

    monkeypatch.setattr(IntakeRulesTable, "of", of)
    track = {"userId": "staff", "event": "Gesehen", "properties": {"sku": "i"}}
    flat = {"user_id": "staff", "event_type": "gesehen", "item_id": "i"}
    ga4 = {"user_id": "staff", "events": [{"name": "gesehen", "params": {"item_id": "i"}}]}
    bodies = [
        ("/v1/track", track),
        ("/v1/events", flat),
        ("/events", flat),
        (f"/mp/collect?api_secret={KEY}", ga4),
        ("/api/personalize/track/view", {"userId": "staff", "productId": "i"}),
        (
            "/shopify/events",
            {"user_id": "staff", "event_type": "gesehen", "recommended_product_id": "i"},
        ),
    ]

    for path, body in bodies:
        answer = await tracker.http.post(path, json=body, headers=HEADERS)
        assert answer.is_success, answer.text

    assert [(event.event_type, event.withheld) for event in tracker.events] == [("view", "internal")] * 6


async def test_events_wait_for_rules_that_were_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other rules than those of the shop could let events without consent into personalization."""

    async def away(*_: object) -> Rules:
        raise ConnectionRefusedError

    monkeypatch.setattr(IntakeRulesTable, "read", away)
    flat = {"user_id": "u", "event_type": "view", "item_id": "i"}

    async with running_tracker(monkeypatch, build(Settings())) as tracker:
        answers = [
            await tracker.http.post(path, json=flat, headers=HEADERS)
            for path in ("/v1/events", "/events", "/shopify/events", "/v1/track")
        ]

    assert [(answer.status_code, "retry-after" in answer.headers) for answer in answers] == [(503, True)] * 4
    assert tracker.events == []


async def test_rules_that_were_read_hold_while_postgres_is_away() -> None:
    database, now = _Rows(), 0.0
    table = IntakeRulesTable(database, clock=lambda: now)  # type: ignore[arg-type] # it only reads a row
    assert (await table.of("shop")).withheld("staff", NO_CIRCUMSTANCES, NO_CIRCUMSTANCES) == "internal"

    database.is_away, now = True, 3_600.0

    assert (await table.of("shop")).withheld("staff", NO_CIRCUMSTANCES, NO_CIRCUMSTANCES) == "internal"


class _Rows:
    """A database with the rules of one tenant, until it is away."""

    is_away = False

    async def fetchrow(self, *_: object) -> dict[str, Any]:
        """Return the row of the rules."""
        if self.is_away:
            raise ConnectionRefusedError
        return {"rules": {"internal_users": ["staff"]}}
