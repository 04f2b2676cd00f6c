"""ETags of experiments: the version and the revision on which a change is based."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header

from services.router.store.change_log import Author
from shared.auth import Principal
from shared.errors import ApiError
from shared.experiments import Experiment

IfMatch = Annotated[
    str | None,
    Header(
        description="the ETag of the experiment that the change is based on, or `*` for any; a change on "
        "another revision is refused"
    ),
]
_ETAG = re.compile(r'(?:W/)?"?(\d{1,9})\.(\d{1,9})"?')


def etag(version: Experiment) -> str:
    """Return the ETag of the newest version."""
    return f'"{version.version}.{version.revision}"'


def author(principal: Principal, if_match: str | None) -> Author:
    """Return who makes a change, and on what it is based; raise ApiError (400) for an invalid If-Match."""
    name = principal.credential or principal.kind
    if if_match is None or if_match.strip() == "*":
        return Author(name)
    match = _ETAG.fullmatch(if_match.strip())
    if match is None:
        raise ApiError(400, "InvalidRequest", "If-Match must be the ETag of an experiment, or *.")
    return Author(name, (int(match[1]), int(match[2])))
