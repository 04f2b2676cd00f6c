"""HTTP of every process: limits of connections, requests and bodies, CORS, fast paths, and the runtime.

`Connections` limits the connections of a process and `BoundedProtocol` each of them, both under uvicorn;
`BoundedBodies` limits the body that a FastAPI route reads, `Cors` applies CORS, and `UnknownParameters`
reports query parameters that a route does not read. `runtime` builds the application of a process and runs
it. The limits are those of `HttpSettings`, listed in docs/limits.md.

See docs/decisions/0015-http-limits.
"""

from shared.http.body_limits import (
    READING,
    SMALL_BODY_BYTES,
    UNKNOWN,
    BoundedBodies,
    ReadingBudget,
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
    "ReadingBudget",
    "UnknownParameters",
    "accept_any_parameters",
    "allow_bytes",
    "api_pages",
    "declared_bytes",
    "probes",
    "too_large",
]
