"""The query parameters that several REST routes read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Query
from pydantic import StringConstraints

from shared.errors import ApiError
from shared.events.envelope import Text

MAX_LIMIT = 100
DEFAULT_LIMIT = 10
DEFAULT_SIMILAR = 6
LIMIT_NAMES = ("limit", "num_results", "numResults")
"""Names of one parameter: ours, that of shops' own services, and that of Amazon Personalize."""

Place = Annotated[Annotated[Text, StringConstraints(max_length=256)] | None, Query()]
Strategy = Annotated[
    Annotated[Text, StringConstraints(max_length=2048)] | None,
    Query(description="a recipe to answer by instead of the usual one, or the ARN of a campaign"),
]


def unit_of_experiment(
    user_id: Annotated[
        Text | None,
        Query(alias="userId", description="whom the items are for: the unit of an experiment of the router"),
    ] = None,
    session_id: Annotated[
        Text | None, Query(alias="sessionId", description="the same for somebody without an id")
    ] = None,
) -> None:
    """Document what the router reads, and the recommender does not: who is shown the items of an item."""


_Limit = Annotated[
    int | None,
    Query(
        ge=1,
        le=MAX_LIMIT,
        description=f"how many items to return at most; {DEFAULT_SIMILAR} for items of an item to a backend, "
        f"otherwise {DEFAULT_LIMIT}, if it is not given",
    ),
]
_SameAsLimit = Annotated[int | None, Query(ge=1, le=MAX_LIMIT, description="the same as limit")]
_SameAsLimitToo = Annotated[
    int | None, Query(alias="numResults", ge=1, le=MAX_LIMIT, description="the same as limit")
]


def _limit(usual: int) -> Callable[..., int]:
    """Return a dependency: the limit of a request, under whichever of its names; 400 if they differ."""

    def limit(limit: _Limit = None, num_results: _SameAsLimit = None, wanted: _SameAsLimitToo = None) -> int:
        values = {value for value in (limit, num_results, wanted) if value is not None}
        if len(values) > 1:
            names = ", ".join(LIMIT_NAMES)
            raise ApiError(400, "InvalidRequest", f"{names} are names of one parameter: give one of them.")
        return values.pop() if values else usual

    return limit


Limit = Annotated[int, Depends(_limit(DEFAULT_LIMIT))]
SimilarLimit = Annotated[int, Depends(_limit(DEFAULT_SIMILAR))]
