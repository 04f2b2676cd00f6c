"""Looking into the log: what can't be stored can't be asked for either."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest

from services.tracker.api.log import log_routes
from shared.auth import Authenticator
from shared.http.runtime import application
from shared.settings import AuthSettings


class InteractionLog:
    """A log without events."""

    async def newest_events(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
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
