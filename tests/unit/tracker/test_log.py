"""Looking into the log: what can't be stored can't be asked for either."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import pytest

from services.tracker.api.log import log_routes
from shared.auth import Authenticator
from shared.http.runtime import application
from shared.settings import AuthSettings


class InteractionLog:
    """A log without events."""

    def __init__(self) -> None:
        self.since: list[datetime] = []

    async def newest_events(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return []

    async def stored_since(self, _tenant: str, since: datetime, _limit: int) -> list[dict[str, Any]]:
        self.since.append(since)
        return []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("user_id=%00", 400),
        ("session_id=s%00", 400),
        (f"user_id={'u' * 257}", 400),
        ("user_id=u&session_id=s", 400),
        ("user_id=J%C3%BCrgen", 200),
        (f"session_id={'s' * 256}", 200),
    ],
)
async def test_a_subject_is_text_that_can_be_stored(query: str, status: int) -> None:
    authenticator = Authenticator(cast("Any", None), AuthSettings(endcap_keyless_loopback=True))
    routes = log_routes(cast("Any", InteractionLog()), authenticator)
    app = application("tracker", parts=[], routers=[routes])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.get(f"/v1/events?{query}")

    assert answer.status_code == status, answer.text


async def test_the_latest_events_are_those_of_the_last_hour_at_most() -> None:
    log = InteractionLog()
    authenticator = Authenticator(cast("Any", None), AuthSettings(endcap_keyless_loopback=True))
    app = application("tracker", parts=[], routers=[log_routes(cast("Any", log), authenticator)])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    now = datetime.now(UTC)
    recent = now - timedelta(minutes=5)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        for since in (None, recent, now - timedelta(days=30)):
            query = {"since": since.isoformat()} if since else {}
            assert (await http.get("/v1/events/latest", params=query)).json() == {"events": []}
        naive = await http.get("/v1/events/latest", params={"since": "2026-11-29T10:00:00"})

    by_default, named, oldest = log.since
    assert named == recent
    assert by_default > oldest
    assert now - oldest <= timedelta(hours=1)
    assert naive.status_code == 400
