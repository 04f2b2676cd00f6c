"""Validation of a document, with the messages of AWS AppSync (graphql-java 4 to 16)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from graphql import FieldNode, GraphQLError, OperationDefinitionNode, specified_rules, validate

from services.recommender.api.graphql.errors import refusal
from services.recommender.api.graphql.schema import SCHEMA

if TYPE_CHECKING:
    from graphql import ASTValidationRule, DocumentNode, Node

MAX_ERRORS: Final = 10

_TYPES: Final = {
    "ExecutableDefinitionsRule": "InvalidSyntax",
    "KnownOperationTypesRule": "InvalidSyntax",
    "UniqueOperationNamesRule": "DuplicateOperationName",
    "LoneAnonymousOperationRule": "LoneAnonymousOperationViolation",
    "SingleFieldSubscriptionsRule": "SubscriptionMultipleRootFields",
    "KnownTypeNamesRule": "UnknownType",
    "FragmentsOnCompositeTypesRule": "InlineFragmentTypeConditionInvalid",
    "VariablesAreInputTypesRule": "NonInputTypeOnVariable",
    "ScalarLeafsRule": "SubSelectionRequired",
    "FieldsOnCorrectTypeRule": "FieldUndefined",
    "UniqueFragmentNamesRule": "DuplicateFragmentName",
    "KnownFragmentNamesRule": "UndefinedFragment",
    "NoUnusedFragmentsRule": "UnusedFragment",
    "PossibleFragmentSpreadsRule": "InvalidFragmentType",
    "NoFragmentCyclesRule": "FragmentCycle",
    "UniqueVariableNamesRule": "DuplicateVariableName",
    "NoUndefinedVariablesRule": "UndefinedVariable",
    "NoUnusedVariablesRule": "UnusedVariable",
    "KnownDirectivesRule": "UnknownDirective",
    "UniqueDirectivesPerLocationRule": "DuplicateDirectiveName",
    "KnownArgumentNamesRule": "UnknownArgument",
    "UniqueArgumentNamesRule": "DuplicateArgumentNames",
    "ValuesOfCorrectTypeRule": "WrongType",
    "ProvidedRequiredArgumentsRule": "MissingFieldArgument",
    "VariablesInAllowedPositionRule": "VariableTypeMismatch",
    "OverlappingFieldsCanBeMergedRule": "FieldsConflict",
    "UniqueInputFieldNamesRule": "DuplicateInputFieldName",
}
"""Rules of graphql-core → the error type of AppSync."""

_UNDEFINED_FIELD: Final = re.compile(r"Cannot query field '(\w+)' on type '(\w+)'\.")
_RULE: Final = "rule"


def validation_errors(document: DocumentNode) -> list[dict[str, Any]]:
    """Return the errors of a document; none if it is valid."""
    errors = validate(
        SCHEMA,
        document,
        _RULES,
        max_errors=MAX_ERRORS,
        hide_suggestions=True,
        allow_empty_selection_sets=False,
    )
    return [_formatted(error, document) for error in errors]


def _formatted(error: GraphQLError, document: DocumentNode) -> dict[str, Any]:
    node = error.nodes[0] if error.nodes else None
    message = error.message
    rule = str((error.extensions or {}).get(_RULE))
    # This rule reports to the context itself, so its errors do not name it.
    unknown_argument = message.startswith("Unknown argument")
    kind = "UnknownArgument" if unknown_argument else _TYPES.get(rule, "InvalidSyntax")
    if undefined := _UNDEFINED_FIELD.match(message):
        message = f"Field '{undefined[1]}' in type '{undefined[2]}' is undefined"
    path = "/".join(_path_to(node, document)) if node is not None else ""
    where = f" @ '{path}'" if path else ""
    return refusal(f"Validation error of type {kind}: {message}{where}", node)


def _path_to(node: Node, document: DocumentNode) -> list[str]:
    """Return the names of the fields from the operation down to the one that contains the node."""
    loc = node.loc
    path: list[str] = []
    stack: list[Any] = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    while stack:
        current = stack.pop()
        if loc is None or current.loc is None or not current.loc.start <= loc.start <= current.loc.end:
            continue
        if isinstance(current, FieldNode):
            path.append(current.name.value)
        selection_set = getattr(current, "selection_set", None)
        stack = list(selection_set.selections) if selection_set else []
    return path


def _tagged(rule: type[ASTValidationRule]) -> type[ASTValidationRule]:
    """Return the rule, whose errors name it."""

    def report_error(self: ASTValidationRule, error: GraphQLError) -> None:
        self.context.report_error(GraphQLError(error.message, error.nodes, extensions={_RULE: rule.__name__}))

    return type(rule.__name__, (rule,), {"report_error": report_error})


_RULES: Final = [_tagged(rule) for rule in specified_rules]
