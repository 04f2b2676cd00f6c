"""HTTP below the applications: what a connection may send, how long it may take, and how many there may be.

`Connections` bounds the connections of a process and `BoundedProtocol` one of them, both under uvicorn;
`BoundedBodies` bounds what a FastAPI route reads, `Cors` says which pages may read answers, and
`UnknownParameters` names what a route does not read. The limits are `HttpSettings`, listed in docs/limits.md.
"""

from shared.http.body_limits import (
    READING,
    SMALL_BODY_BYTES,
    UNKNOWN,
    BoundedBodies,
    allow_bytes,
    declared_bytes,
    too_large,
)
from shared.http.connections import Connections
from shared.http.cors import ORIGIN_REFUSED, Cors
from shared.http.pages import api_pages
from shared.http.parameters import UNKNOWN_PARAMETERS, UnknownParameters, accept_any_parameters
from shared.http.probes import probes
from shared.http.protocol import BoundedProtocol

__all__ = [
    "ORIGIN_REFUSED",
    "READING",
    "SMALL_BODY_BYTES",
    "UNKNOWN",
    "UNKNOWN_PARAMETERS",
    "BoundedBodies",
    "BoundedProtocol",
    "Connections",
    "Cors",
    "UnknownParameters",
    "accept_any_parameters",
    "allow_bytes",
    "api_pages",
    "declared_bytes",
    "probes",
    "too_large",
]
