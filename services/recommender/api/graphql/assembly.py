"""The GraphQL API of one process, from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.api.graphql.documents import Documents
from services.recommender.api.graphql.endpoint import GraphqlEndpoint
from services.recommender.api.graphql.execution import Executor
from services.recommender.api.graphql.realtime import Realtime
from services.recommender.api.graphql.routes import GraphqlRoutes, graphql_fast_path
from services.recommender.api.graphql.subscriptions import Subscriptions

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.types import ASGIApp

    from services.recommender.api.graphql.fields import Fields
    from services.recommender.store.overrides import Overrides
    from shared.auth import Authenticator


class GraphqlApi:
    """The routes, the fast path and the WebSockets over one set of documents."""

    def __init__(self, fields: Fields, overrides: Overrides, authenticator: Authenticator) -> None:
        self._documents, self._subscriptions = Documents(), Subscriptions()
        overrides.listen(self._subscriptions.publish)
        self._authenticator = authenticator
        self._endpoint = GraphqlEndpoint(self._documents, Executor(fields), authenticator)

    def router(self) -> APIRouter:
        """Return the routes."""
        return GraphqlRoutes(self._endpoint).router()

    def realtime(self, app: ASGIApp) -> ASGIApp:
        """Return an application that answers WebSockets, and passes requests on to `app`."""
        return Realtime(app, self._documents, self._subscriptions, self._authenticator)

    def fast_path(self, app: ASGIApp) -> ASGIApp:
        """Return an application that answers plain requests, and passes others on to `app`."""
        return graphql_fast_path(app, self._endpoint)
