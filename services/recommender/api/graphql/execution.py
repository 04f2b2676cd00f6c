"""Run one operation and encode its answer: by its projection, else by graphql-core."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from graphql import GraphQLError, GraphQLObjectType, execute, get_named_type

from services.recommender.api.graphql.arguments import InvalidVariables
from services.recommender.api.graphql.errors import FieldError, field_error, of_graphql
from services.recommender.api.graphql.schema import FIELDS, SCHEMA
from shared.errors import ApiError

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo

    from services.recommender.api.graphql.documents import Operation
    from services.recommender.api.graphql.fields import Fields

Permission = Callable[[str], FieldError | None]
"""Returns the error of a root field that the caller may not resolve; None if it may."""

_MAX_COERCION_ERRORS = 10


class Executor:
    """Runs queries and mutations."""

    def __init__(self, fields: Fields) -> None:
        self._resolvers = fields.resolvers

    async def run(
        self, operation: Operation, inputs: Mapping[str, Any], tenant: str, permission: Permission
    ) -> bytes:
        """Return the body of the answer. Raise ApiError (429, 503), and errors of asyncpg."""
        if operation.fields is None:
            return await self._execute(operation, inputs, tenant, permission)
        try:
            variables = operation.variables.coerce(inputs)
        except InvalidVariables as invalid:
            return invalid_body(invalid.errors)
        members: list[bytes] = []
        errors: list[dict[str, Any]] = []
        for field in operation.fields:
            try:
                value = await self._resolve(field.name, tenant, field.arguments.of(variables), permission)
                members.append(field.prefix + field.encode(value))
            except FieldError as error:
                members.append(field.prefix + b"null")
                errors.append(field_error(error, [field.key], field.node))
        data = b'{"data":{%b}' % b",".join(members)
        return data + (b',"errors":%b}' % orjson.dumps(errors) if errors else b"}")

    async def _resolve(
        self, name: str, tenant: str, arguments: Mapping[str, Any], permission: Permission
    ) -> Any:
        refused = permission(name)
        if refused is not None:
            raise refused
        try:
            return await self._resolvers[name](tenant, arguments)
        except ApiError as error:
            if error.status in {400, 404}:
                raise FieldError(error.code, error.detail) from None
            raise

    async def _execute(
        self, operation: Operation, inputs: Mapping[str, Any], tenant: str, permission: Permission
    ) -> bytes:
        """Run what depends on directives or on the schema."""

        async def resolve_root(info: GraphQLResolveInfo[Any], arguments: Mapping[str, Any]) -> Any:
            value = await self._resolve(info.field_name, tenant, arguments, permission)
            return as_document(get_named_type(info.return_type), value)

        def resolve(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
            if info.parent_type in (SCHEMA.query_type, SCHEMA.mutation_type):
                return resolve_root(info, arguments)
            if isinstance(source, Mapping):
                return source[info.field_name]
            return getattr(source, info.field_name, None)

        result = execute(
            SCHEMA,
            operation.document,
            variable_values=dict(inputs),
            operation_name=operation.name,
            field_resolver=resolve,
            max_coercion_errors=_MAX_COERCION_ERRORS,
            hide_suggestions=True,
        )
        if inspect.isawaitable(result):
            result = await result
        document: dict[str, Any] = {"data": result.data}
        if result.errors:
            document["errors"] = [_formatted(error) for error in result.errors]
        return orjson.dumps(document)


def invalid_body(errors: list[dict[str, Any]]) -> bytes:
    """Return the body of an operation that did not run."""
    return orjson.dumps({"data": None, "errors": errors})


def as_document(type_: Any, value: Any) -> Any:
    """Return the tuples of a resolver as the objects that they encode."""
    if isinstance(value, list):
        return [as_document(type_, each) for each in value]
    if isinstance(value, bytes):
        return orjson.loads(value)
    if not isinstance(type_, GraphQLObjectType) or value is None:
        return value
    return {
        name: as_document(get_named_type(type_.fields[name].type), entry)
        for name, entry in zip(FIELDS[type_.name], value, strict=True)
    }


def _formatted(error: GraphQLError) -> dict[str, Any]:
    """Return an error of graphql-core; raise the original one if it is not a FieldError."""
    original = error.original_error
    if original is None or isinstance(original, GraphQLError):
        return of_graphql(error)
    if not isinstance(original, FieldError):
        raise original
    return field_error(original, error.path or (), error.nodes[0] if error.nodes else None)
