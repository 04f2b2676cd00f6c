"""Answer operations of AWS services over HTTP: authentication, validation, dispatch, errors, routes.

A service states which operations it answers (`Operation`: name, request model, scope, handler) and gets its
routes from `RestJson` or `Json11`, which may have a `Query` beside it. `JsonServices` answers several
services of AWS at one route.

See docs/decisions/0016-aws-protocols.
"""

from shared.aws_server.json_services import JsonService, JsonServices
from shared.aws_server.operations import Answer, Call, Operation
from shared.aws_server.query import Query, QueryOperation
from shared.aws_server.routes import Json11, RestJson

__all__ = [
    "Answer",
    "Call",
    "Json11",
    "JsonService",
    "JsonServices",
    "Operation",
    "Query",
    "QueryOperation",
    "RestJson",
]
