"""HTTP below the applications: what a connection may send, how long it may take, and how many there may be.

`Connections` bounds the connections of a process and `BoundedProtocol` one of them, both under uvicorn;
`BoundedBodies` bounds what a FastAPI route reads. The limits are `HttpSettings`, listed in docs/limits.md.
"""

from shared.http.bodies import (
    READING,
    SMALL_BODY_BYTES,
    UNKNOWN,
    BoundedBodies,
    allow_bytes,
    declared_bytes,
    too_large,
)
from shared.http.connections import Connections
from shared.http.protocol import BoundedProtocol

__all__ = [
    "READING",
    "SMALL_BODY_BYTES",
    "UNKNOWN",
    "BoundedBodies",
    "BoundedProtocol",
    "Connections",
    "allow_bytes",
    "declared_bytes",
    "too_large",
]
