"""Query parameters that several REST routes have."""

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
"""Names of one parameter: Endcap's, that of services which shops had before, and Amazon Personalize's."""

Area = Annotated[Annotated[Text, StringConstraints(max_length=256)] | None, Query()]
CustomerLimit = Annotated[
    int,
    Query(
        alias="limit_users",
        ge=0,
        le=200,
        description="maximum number of customers of the place; 0 leaves them out",
    ),
]
Strategy = Annotated[
    Annotated[Text, StringConstraints(max_length=2048)] | None,
    Query(description="a recipe to use instead of the default one, or the ARN of a campaign"),
]


def _unit_of_experiment(
    user_id: Annotated[
        Text | None,
        Query(
            alias="userId",
            description="the user who is shown the items: the unit of experiments",
        ),
    ] = None,
    session_id: Annotated[
        Text | None, Query(alias="sessionId", description="the session, for a visitor without a user id")
    ] = None,
) -> str | None:
    """Return who is shown the items related to an item: the user, else the session."""
    return user_id or session_id or None


_SessionId = Annotated[
    Annotated[Text, StringConstraints(max_length=256)] | None,
    Query(description="the visitor's session: its events count at once, also before and during a login"),
]
_CamelCaseSessionId = Annotated[
    Annotated[Text, StringConstraints(max_length=256)] | None,
    Query(alias="sessionId", description="the same as session_id"),
]


def _session_id(session_id: _SessionId = None, camel_case: _CamelCaseSessionId = None) -> str | None:
    """Return the session of a request; raise ApiError (400) if its names have different values."""
    if session_id and camel_case and session_id != camel_case:
        detail = "session_id and sessionId are names of one parameter: give one of them."
        raise ApiError(400, "InvalidRequest", detail)
    return session_id or camel_case or None


SessionId = Annotated[str | None, Depends(_session_id)]

_Limit = Annotated[
    int | None,
    Query(
        ge=1,
        le=MAX_LIMIT,
        description=f"maximum number of items; by default {DEFAULT_SIMILAR} for items related to an item on "
        f"the backend route, otherwise {DEFAULT_LIMIT}",
    ),
]
_SnakeCaseLimit = Annotated[int | None, Query(ge=1, le=MAX_LIMIT, description="the same as limit")]
_CamelCaseLimit = Annotated[
    int | None, Query(alias="numResults", ge=1, le=MAX_LIMIT, description="the same as limit")
]


def _limit(default: int) -> Callable[..., int]:
    """Return a dependency: the limit of a request, under any of its names; 400 if they differ."""

    def limit(
        limit: _Limit = None, num_results: _SnakeCaseLimit = None, camel_case: _CamelCaseLimit = None
    ) -> int:
        """Return the limit; raise ApiError (400) if its names have different values."""
        values = {value for value in (limit, num_results, camel_case) if value is not None}
        if len(values) > 1:
            names = ", ".join(LIMIT_NAMES)
            raise ApiError(400, "InvalidRequest", f"{names} are names of one parameter: give one of them.")
        return values.pop() if values else default

    return limit


Limit = Annotated[int, Depends(_limit(DEFAULT_LIMIT))]
UnitOfExperiment = Annotated[str | None, Depends(_unit_of_experiment)]
SimilarLimit = Annotated[int, Depends(_limit(DEFAULT_SIMILAR))]

DashboardLimit = Annotated[
    int, Query(alias="n_recommendations", ge=1, le=500, description="maximum number of items")
]
"""The limit of the routes below `/ml`, which dashboards of existing shops call."""
