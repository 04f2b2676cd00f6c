"""recommendationId: the id of an answer, which identifies its campaign without a table of answers.

It has the form of Amazon Personalize, `RID-` and a UUID. The last 40 bits of the UUID are a digest of the
others and of the campaign's name, so an event with the id can be attributed to the campaign.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable

_PREFIX = "RID-"
_DIGEST_BYTES = 5


def new_id(tenant: str, campaign: str) -> str:
    """Return the id of a new answer; `campaign` is the name in CampaignChanged."""
    nonce = uuid.uuid4().bytes[:-_DIGEST_BYTES]
    return f"{_PREFIX}{uuid.UUID(bytes=nonce + _digest(nonce, tenant, campaign))}"


def is_from(recommendation_id: str, tenant: str, campaign: str) -> bool:
    """Return whether the campaign gave that answer; wrong for one of 10¹² forged ids (40 bits)."""
    try:
        id_bytes = uuid.UUID(recommendation_id.removeprefix(_PREFIX)).bytes
    except ValueError:
        return False
    nonce, digest = id_bytes[:-_DIGEST_BYTES], id_bytes[-_DIGEST_BYTES:]
    return _digest(nonce, tenant, campaign) == digest


def source_among(known: Iterable[tuple[str, str]], tenant: str) -> Callable[[str], str | None]:
    """Return a function from a recommendationId to the ARN of its campaign, None for an unknown one.

    `known` are pairs of a campaign's name and its ARN.
    """
    campaigns = tuple(known)
    return lambda id_: next((arn for name, arn in campaigns if is_from(id_, tenant, name)), None)


def _digest(nonce: bytes, tenant: str, campaign: str) -> bytes:
    return hashlib.blake2b(nonce + f"{tenant}:{campaign}".encode(), digest_size=_DIGEST_BYTES).digest()
