"""The page Live: answers of campaigns beside those of placements."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from services.dashboard.store.sessions import Person
from tests.unit.dashboard.site import browser

ARN = "arn:aws:personalize:eu-west-1:000000000000:campaign/for-you"


async def test_an_answer_is_shown_by_the_name_of_its_campaign(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ARN is wider than the other columns together."""
    row = {
        "recommendation_id": "r1",
        "served_at": datetime.now(UTC).isoformat(),
        "surface": "runtime",
        "user_id": "u-1",
        "session_id": None,
        "placement": None,
        "target": ARN,
        "items": [{"product_id": "i-1", "rank": 1, "strategy": ""}],
        "source": "model",
        "experiment": None,
    }

    def answer(request: httpx.Request) -> httpx.Response:
        body = {"recommendations": [row]} if request.url.path == "/v1/recommendations" else {"events": []}
        return httpx.Response(200, json=body)

    async with browser(monkeypatch, Person("ann", "shop", "viewer"), answer) as client:
        page = await client.get("/dashboard/live")

    assert f'title="{ARN}">for-you</td>' in page.text
