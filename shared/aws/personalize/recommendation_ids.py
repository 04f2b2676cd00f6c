"""recommendationId: the signed id of an answer, which says when and for what source it was made.

It is `RID-` and 32 characters of base64url, 36 in all; Amazon Personalize's events take up to 40:

    time                48 bits   milliseconds since 1970
    partition            8 bits   the partition of servings-v1 that has the answer
    random              32 bits
    source digest       40 bits   of the above, the tenant and the source's name
    signature           64 bits   of all of the above and the tenant, keyed

The digest attributes an event to the source of the answer (a campaign's name, for example) without a table of
answers and without the key. Earlier releases made ids of `RID-` and a UUID, whose last 40 bits are that
digest; they stay readable.

See docs/decisions/0038-servings.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, NamedTuple

_PREFIX: Final = "RID-"
_NONCE_BYTES: Final = 11
_DIGEST_BYTES: Final = 5
_SIGNED_BYTES: Final = _NONCE_BYTES + _DIGEST_BYTES
_SIGNATURE_BYTES: Final = 8
_RANDOM_BYTES: Final = 4
_RANDOM_POOL_BYTES: Final = 4096
"""Random bytes of one call of the system: the call takes as long as an id. Arbitrary."""
_SIGNED_FORM: Final = re.compile(r"(?:RID-)?([A-Za-z0-9_-]{32})\Z")


class SignedId(NamedTuple):
    """The parts of an id in the signed form."""

    milliseconds: int
    partition: int
    content: bytes
    signature: bytes


class RecommendationIds:
    """Makes ids with one key."""

    __slots__ = ("_pool", "_position", "_signer")

    def __init__(self, key: bytes) -> None:
        """Sign with `key`, which `signing_key` returns."""
        self._signer = hashlib.blake2b(key=key, digest_size=_SIGNATURE_BYTES)
        self._pool = b""
        self._position = _RANDOM_POOL_BYTES

    def new(self, tenant: str, source: str, partition: int, milliseconds: int) -> str:
        """Return the id of an answer that `source` gave at a time; in events it names the source."""
        position = self._position
        if position >= _RANDOM_POOL_BYTES:
            self._pool, position = os.urandom(_RANDOM_POOL_BYTES), 0
        self._position = position + _RANDOM_BYTES
        nonce = (milliseconds << 8 | partition).to_bytes(7) + self._pool[position : self._position]
        tenant_name, full_name = _encoded(tenant, source)
        content = nonce + hashlib.blake2b(nonce + full_name, digest_size=_DIGEST_BYTES).digest()
        signer = self._signer.copy()
        signer.update(content + tenant_name)
        return _PREFIX + urlsafe_b64encode(content + signer.digest()).decode()


def signing_key(secret: str) -> bytes:
    """Return the key of ids, derived from ENDCAP_SECRET_KEY."""
    return hashlib.blake2b(secret.encode(), digest_size=32, person=b"recommendations").digest()


def parse(recommendation_id: str) -> SignedId | None:
    """Return the parts of an id; None for an id that does not have the signed form."""
    match = _SIGNED_FORM.match(recommendation_id)
    if match is None:
        return None
    id_bytes = urlsafe_b64decode(match[1])
    when = int.from_bytes(id_bytes[:6], "big")
    return SignedId(when, id_bytes[6], id_bytes[:_SIGNED_BYTES], id_bytes[_SIGNED_BYTES:])


def verify(recommendation_id: str, tenant: str, key: bytes) -> bool:
    """Return whether the id was made for the tenant with this key; False for the unsigned form."""
    signed = parse(recommendation_id)
    if signed is None:
        return False
    signature = hashlib.blake2b(signed.content + tenant.encode(), key=key, digest_size=_SIGNATURE_BYTES)
    return hmac.compare_digest(signature.digest(), signed.signature)


def is_unsigned(recommendation_id: str) -> bool:
    """Return whether an id has the form of earlier releases."""
    return parse(recommendation_id) is None and _unsigned_bytes(recommendation_id) is not None


def is_from(recommendation_id: str, tenant: str, source: str) -> bool:
    """Return whether the source gave that answer; wrong for one of 10¹² forged ids (40 bits)."""
    signed = parse(recommendation_id)
    content = _unsigned_bytes(recommendation_id) if signed is None else signed.content
    if content is None:
        return False
    nonce, digest = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
    return _digest(nonce, tenant, source) == digest


def source_among(known: Iterable[tuple[str, str]], tenant: str) -> Callable[[str], str | None]:
    """Return a function from a recommendationId to the ARN of its campaign, None for an unknown one.

    `known` are pairs of a campaign's name and its ARN.
    """
    campaigns = tuple(known)
    return lambda id_: next((arn for name, arn in campaigns if is_from(id_, tenant, name)), None)


def _unsigned_bytes(recommendation_id: str) -> bytes | None:
    """Return the 16 bytes of an id of earlier releases: 11 random ones and the digest."""
    try:
        return uuid.UUID(recommendation_id.removeprefix(_PREFIX)).bytes
    except ValueError:
        return None


def _digest(nonce: bytes, tenant: str, source: str) -> bytes:
    return hashlib.blake2b(nonce + _encoded(tenant, source)[1], digest_size=_DIGEST_BYTES).digest()


@lru_cache(maxsize=4096)
def _encoded(tenant: str, source: str) -> tuple[bytes, bytes]:
    return tenant.encode(), f"{tenant}:{source}".encode()
