"""Imports of the shop's files, which sync makes: asked for and followed by its public API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

import httpx
import orjson

from shared.errors import ApiError, Permanent, Transient
from shared.http.client import HttpClient

if TYPE_CHECKING:
    from services.trainer.settings import Settings

TIMEOUT_SECONDS: Final = 15.0
"""Time for an answer of sync, which asks the object store once; arbitrary."""

_REFUSED: Final = frozenset({400, 403, 404, 413, 422})
_TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True)
class ImportState:
    """State of an import: `done` once Kafka has all of its events. `problem` says why it failed."""

    status: Literal["running", "done", "failed"]
    problem: str = ""


class ShopImports(HttpClient):
    """Calls sync for a tenant. A part, which is ready without sync: only executions with a file need it."""

    name = "sync"

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport` replaces the network in tests."""
        super().__init__(transport)
        self._url = settings.sync.endcap_sync_url.rstrip("/")
        key = settings.auth.endcap_service_key
        self._key = key.get_secret_value() if key else ""

    async def begin(self, tenant: str, location: str, kind: str | None) -> str:
        """Import an object, and return the id of the import; the same object again has the same one.

        Raises Permanent with sync's sentence for an object that can't be imported, ApiError 429 when too many
        imports wait, Transient when sync can't be reached.
        """
        body = {"location": location} | ({} if kind is None else {"kind": kind})
        document = await self._call(tenant, "POST", "/v1/imports/objects", json=body)
        return str(document["id"])

    async def state(self, tenant: str, identity: str) -> ImportState:
        """Return where an import is; raises Transient when sync can't be reached."""
        try:
            document = await self._call(tenant, "GET", f"/v1/imports/{quote(identity, safe='')}")
        except Permanent as error:
            return ImportState("failed", str(error))
        if document["status"] == "failed":
            return ImportState("failed", f"{document['file']}: {document['error']}")
        return ImportState("done" if document["relayed"] else "running")

    async def _call(self, tenant: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Return the document of a successful answer."""
        headers = {"x-api-key": self._key, "x-endcap-tenant": tenant}
        try:
            answer = await self.send(method, self._url + path, TIMEOUT_SECONDS, headers=headers, **options)
            document = orjson.loads(answer.content)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Transient(f"sync does not answer: {error!r}") from error
        except orjson.JSONDecodeError as error:
            raise Transient(f"sync answered {answer.status_code} without a JSON document") from error
        if answer.is_success:
            return dict(document)
        sentence = str(document.get("detail", "")) if isinstance(document, dict) else ""
        if answer.status_code == _TOO_MANY:
            raise ApiError(_TOO_MANY, "TooManyImports", sentence, retry_after=_retry_after(answer))
        if answer.status_code in _REFUSED:
            raise Permanent(sentence or f"sync answered with the status {answer.status_code}.")
        # 401 is a wrong service key: an operator's matter, not the caller's.
        raise Transient(f"sync answered {answer.status_code}: {sentence}")


def _retry_after(answer: httpx.Response) -> int:
    text = answer.headers.get("retry-after", "")
    return int(text) if text.isdecimal() else 1
