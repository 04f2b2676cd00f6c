"""Events and headers for a tracker whose tenants the service key names."""

from __future__ import annotations

import uuid
from typing import Any

from tests.support.tenants import SERVICE_KEY


def an_event(**changes: Any) -> dict[str, Any]:
    return {"event_id": str(uuid.uuid4()), "user_id": "u", "type": "view", "item_id": "i"} | changes


def headers(tenant: str) -> dict[str, str]:
    return {"x-api-key": SERVICE_KEY, "x-endcap-tenant": tenant}
