"""The route of webhooks: a delivery is verified, stored, and answered; a worker merges it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel

from services.sync.domain.sources import Webhook
from services.sync.domain.webhooks.deliveries import is_ping, is_signed, read_headers
from services.sync.metrics import WEBHOOKS
from shared.errors import ApiError, Permanent
from shared.http.request_bodies import read_body
from shared.http.runtime import ERRORS, ErrorBody

if TYPE_CHECKING:
    from services.sync.store import Inbox, Sources
    from services.sync.store.sources import Source

SourceId = Annotated[str, Path(pattern=r"^[a-z0-9]{1,40}$")]

_RESPONSES: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    401: {"model": ErrorBody, "description": "The signature is missing or wrong."},
    404: {"model": ErrorBody, "description": "There is no such source, or it is switched off."},
    413: {"model": ErrorBody, "description": "The body is too large."},
}


class WebhookAnswer(BaseModel):
    """The answer to a delivery that is stored."""

    status: str


def webhooks_router(sources: Sources, inbox: Inbox, *, max_bytes: int) -> APIRouter:
    """Return the route of webhooks, which has no credentials but the signature of the body."""
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], responses=_RESPONSES)

    @router.post(
        "/{source_id}",
        operation_id="receive_webhook",
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
        },
    )
    async def receive_webhook(source_id: SourceId, request: Request) -> WebhookAnswer:
        """Store a delivery of a shop system: `stored`, or `repeated` if it was stored before.

        The answer is 200 only once the delivery is in the database. The sender is verified by the signature
        of the body, as its shop system makes it. Raises ApiError 401 for another signature, and 404.
        """
        source = await sources.by_id(source_id)
        if source is None or not source.enabled or source.kind != "webhook":
            detail = "There is no webhook source with this id, or it is switched off."
            raise ApiError(404, "UnknownSource", detail)
        webhook = Webhook.model_validate(source.config)
        body = await read_body(request, max_bytes)
        if is_ping(webhook, body):
            return WebhookAnswer(status="ping")
        headers = dict(request.headers)
        if not is_signed(webhook, headers, body, webhook.keys(_secrets(sources, source))):
            WEBHOOKS.labels(webhook.format, "refused").inc()
            detail = "The signature of the body is missing or wrong; compare the secrets of shop and source."
            raise ApiError(401, "InvalidSignature", detail)
        delivery = read_headers(webhook, headers, body)
        added = await inbox.add(source.id, source.tenant, delivery.topic, delivery.id, body)
        outcome = "stored" if added else "repeated"
        WEBHOOKS.labels(webhook.format, outcome).inc()
        return WebhookAnswer(status=outcome)

    return router


def _secrets(sources: Sources, source: Source) -> dict[str, str]:
    """Return the secrets of a source. Raises ApiError 503 if they can't be decrypted: the sender is right."""
    try:
        return sources.secrets(source)
    except Permanent as error:
        raise ApiError(503, "NoSecretKey", str(error), retry_after=60) from error
