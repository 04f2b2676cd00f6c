"""recommendationId: an answer's name, from which can be told whose answer it was.

It has the form that programs know, `RID-` and a UUID. The UUID's last 40 bits are a digest of the others
and of the campaign's name: events say which campaign they came from, and nobody has to remember answers.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable

_PREFIX = "RID-"
_DIGEST_BYTES = 5


def new_id(tenant: str, campaign: str) -> str:
    """The id of a new answer; `campaign` is as CampaignChanged names it."""
    drawn = uuid.uuid4().bytes[:-_DIGEST_BYTES]
    return f"{_PREFIX}{uuid.UUID(bytes=drawn + _digest(drawn, tenant, campaign))}"


def is_from(recommendation_id: str, tenant: str, campaign: str) -> bool:
    """Whether a campaign gave that answer; a made-up id is taken for one once in 10¹² times."""
    try:
        given = uuid.UUID(recommendation_id.removeprefix(_PREFIX)).bytes
    except ValueError:
        return False
    drawn, digest = given[:-_DIGEST_BYTES], given[-_DIGEST_BYTES:]
    return _digest(drawn, tenant, campaign) == digest


def source_among(known: Iterable[tuple[str, str]], tenant: str) -> Callable[[str], str | None]:
    """What tells whose answer a recommendationId is; `known` are names of campaigns, and their ARNs."""
    kept = tuple(known)
    return lambda given: next((arn for name, arn in kept if is_from(given, tenant, name)), None)


def _digest(drawn: bytes, tenant: str, campaign: str) -> bytes:
    return hashlib.blake2b(drawn + f"{tenant}:{campaign}".encode(), digest_size=_DIGEST_BYTES).digest()
