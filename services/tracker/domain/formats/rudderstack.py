"""Routes of RudderStack beside those of Segment: beacons of pages that close, and pixels in mails and pages.

https://www.rudderstack.com/docs/api/http-api/ and …/api/pixel-api/
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from services.tracker.domain.formats.segment import CallBatch, parse_call, read_batch
from services.tracker.domain.wire_format import ClientRequest, ClientRoute, Upload

_MOST_LEVELS = 8
"""Levels of a parameter's name, such as properties.product.name. Arbitrary."""

_NOT_PARTS = frozenset({"writeKey", "sentAt"})
"""Parameters of a pixel that are no members of its call. The time at which the pixel was written is in all
its copies, so it says nothing about the clock of the sender."""


class Pixel(BaseModel):
    """Parameters of a pixel: members of a call, with dots for their members (`properties.product_id`)."""

    model_config = ConfigDict(extra="allow")

    userId: str | None = None  # noqa: N815 - as it is on the wire
    anonymousId: str | None = Field(None, description="one of userId and anonymousId is needed")  # noqa: N815


class TrackPixel(Pixel):
    """Parameters of a pixel: members of a call, with dots for their members (`properties.product_id`)."""

    event: str = Field(description="what happened")


def _read_pixel(request: ClientRequest) -> Upload:
    call: dict[str, Any] = {}
    for name, value in request.query.items():
        if name not in _NOT_PARTS:
            _set_member(call, name.split(".")[:_MOST_LEVELS], value)
    call["type"] = request.path.rpartition("/")[2]
    return Upload([call])


def _set_member(call: dict[str, Any], names: list[str], value: str) -> None:
    for name in names[:-1]:
        member = call.setdefault(name, {})
        if not isinstance(member, dict):
            return
        call = member
    call.setdefault(names[-1], value)


ROUTES: Final = (
    ClientRoute(
        path="/beacon/v1/batch",
        operation_id="callBeacon",
        summary="Record calls of a page that closes, which sends no headers",
        tag="RudderStack",
        source="segment",
        schema=CallBatch,
        read=read_batch,
        parse=parse_call,
        key_parameters=("writeKey",),
        key_in_body=True,
        members={"success": True},
    ),
    *(
        ClientRoute(
            path=f"/pixel/v1/{kind}",
            operation_id=f"{kind}Pixel",
            summary=f"Record a {kind} call; the answer is a picture of one pixel",
            tag="RudderStack",
            source="segment",
            schema=schema,
            read=_read_pixel,
            parse=parse_call,
            method="GET",
            key_parameters=("writeKey",),
            reply="pixel",
        )
        for kind, schema in (("track", TrackPixel), ("page", Pixel))
    ),
)
