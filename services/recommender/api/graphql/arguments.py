"""The values of variables and of the arguments of root fields, without graphql-core where they are simple."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import (
    GraphQLNonNull,
    Undefined,
    VariableNode,
    get_variable_values,
    type_from_ast,
    value_from_ast,
    visit,
)
from graphql.language import Visitor

from services.recommender.api.graphql.errors import of_graphql
from services.recommender.api.graphql.projection import NotCompiled
from services.recommender.api.graphql.schema import SCHEMA

if TYPE_CHECKING:
    from graphql import FieldNode, GraphQLArgument, GraphQLError, GraphQLField, VariableDefinitionNode

MAX_ERRORS: Final = 10
_INT_LIMIT: Final = 2**31
_MISSING: Final = object()
_SIMPLE: Final = {"String": str, "Int": int}


class InvalidVariables(Exception):
    """The variables are not valid: the errors of the answer."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


class _Simple(NamedTuple):
    """A variable whose type is String or Int."""

    name: str
    kind: type
    is_required: bool
    default: Any


class Variables:
    """Coerces the variables of one operation."""

    def __init__(self, definitions: Sequence[VariableDefinitionNode]) -> None:
        self._definitions = definitions
        simple = [_simple(definition) for definition in definitions]
        self._simple: list[_Simple] | None = None if None in simple else [each for each in simple if each]

    def coerce(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values by name, without missing ones; raise InvalidVariables."""
        if self._simple is not None:
            values = _coerce_simple(self._simple, inputs)
            if values is not None:
                return values
        result = get_variable_values(
            SCHEMA, self._definitions, dict(inputs), max_errors=MAX_ERRORS, hide_suggestions=True
        )
        if isinstance(result, list):
            raise InvalidVariables([self._formatted(error, inputs) for error in result])
        return result.coerced

    def _formatted(self, error: GraphQLError, inputs: Mapping[str, Any]) -> dict[str, Any]:
        formatted = of_graphql(error)
        for definition in self._definitions:
            name, kind = definition.variable.name.value, type_from_ast(SCHEMA, definition.type)
            is_null = inputs.get(name) is None and definition.default_value is None
            if is_null and isinstance(kind, GraphQLNonNull) and f"${name}" in error.message:
                formatted["message"] = f"Variable '{name}' has coerced Null value for NonNull type '{kind}'"
        return formatted


def _simple(definition: VariableDefinitionNode) -> _Simple | None:
    kind = type_from_ast(SCHEMA, definition.type)
    is_required = isinstance(kind, GraphQLNonNull)
    name = str(kind).rstrip("!")
    if name not in _SIMPLE or definition.directives:
        return None
    default = _MISSING
    if definition.default_value is not None:
        default = value_from_ast(definition.default_value, kind)  # type: ignore[arg-type] # an input type
    return _Simple(definition.variable.name.value, _SIMPLE[name], is_required, default)


def _coerce_simple(simple: list[_Simple], inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the values; None if one needs graphql-core, whose message is better."""
    values: dict[str, Any] = {}
    for name, kind, is_required, default in simple:
        value: Any = inputs.get(name, default)
        if value is _MISSING:
            if is_required:
                return None
            continue
        if value is None:
            if is_required:
                return None
        elif type(value) is not kind or (isinstance(value, int) and not -_INT_LIMIT <= value < _INT_LIMIT):
            return None
        values[name] = value
    return values


class _Argument(NamedTuple):
    name: str
    variable: str | None
    """The variable that is the value; None for a constant."""
    value: Any
    """The constant, or the value without the variable; `_MISSING` for none."""


class Arguments:
    """The arguments of one root field."""

    def __init__(self, field: GraphQLField, node: FieldNode) -> None:
        """Raise NotCompiled if an object or a list contains a variable."""
        nodes = {argument.name.value: argument.value for argument in node.arguments or ()}
        self._arguments = [
            _Argument(name, *_planned(nodes.get(name), argument.type, _default(argument)))
            for name, argument in field.args.items()
        ]

    def of(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values by name, without missing ones."""
        values = {}
        for name, variable, value in self._arguments:
            bound = value if variable is None else variables.get(variable, value)
            if bound is not _MISSING:
                values[name] = bound
        return values


def _planned(node: Any, kind: Any, default: Any) -> tuple[str | None, Any]:
    if node is None:
        return None, default
    if isinstance(node, VariableNode):
        return node.name.value, default
    visit(node, _NoVariables())
    value = value_from_ast(node, kind)
    if value is Undefined:
        raise NotCompiled
    return None, value


def _default(argument: GraphQLArgument) -> Any:
    node = argument.ast_node.default_value if argument.ast_node else None
    return _MISSING if node is None else value_from_ast(node, argument.type)


class _NoVariables(Visitor):
    def enter_variable(self, *_: Any) -> None:
        """Raise NotCompiled."""
        raise NotCompiled
