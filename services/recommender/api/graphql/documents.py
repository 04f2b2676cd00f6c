"""Query texts, each parsed, measured, validated and compiled once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from graphql import FragmentDefinitionNode, GraphQLObjectType, OperationDefinitionNode, get_named_type

from services.recommender.api.graphql.arguments import Arguments, Variables
from services.recommender.api.graphql.errors import RequestError, malformed
from services.recommender.api.graphql.limits import check_length, parse_limited
from services.recommender.api.graphql.projection import NotCompiled, collect, compile_selection
from services.recommender.api.graphql.schema import SCHEMA
from services.recommender.api.graphql.validation import validation_errors
from services.recommender.metrics import GRAPHQL_DOCUMENTS

if TYPE_CHECKING:
    from graphql import DocumentNode, FieldNode

    from services.recommender.api.graphql.projection import Encoder, Fragments

MAX_DOCUMENTS: Final = 500
"""Texts that are remembered, about 50 MB of the largest; arbitrary. A shop has a handful."""

_ROOTS: Final = {
    "query": SCHEMA.query_type,
    "mutation": SCHEMA.mutation_type,
    "subscription": SCHEMA.subscription_type,
}


@dataclass(frozen=True, slots=True)
class RootField:
    """One root field of an operation, ready to run."""

    prefix: bytes
    """The response name as the start of a member: `"name":`."""
    key: str
    name: str
    node: FieldNode
    arguments: Arguments
    encode: Encoder


@dataclass(slots=True)
class Operation:
    """One operation of a document."""

    kind: str
    name: str | None
    document: DocumentNode
    variables: Variables
    fields: list[RootField] | None
    """None for an operation that graphql-core executes."""


@dataclass(slots=True)
class Document:
    """A parsed text: its operations by name, or the errors that make it invalid."""

    operations: dict[str | None, Operation] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    refusal: RequestError | None = None

    def operation(self, name: str | None) -> Operation:
        """Return the operation of a name, or the only one; raise RequestError (400) if there is none."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        operation = self.operations.get(name)
        if operation is not None:
            return operation
        if name is None:
            raise malformed("The query has several operations: name one in operationName.")
        raise malformed(f"Unknown operation named '{name}'.")


class Documents:
    """The documents of the last texts, those that are invalid included."""

    def __init__(self) -> None:
        self._by_text: OrderedDict[str, Document] = OrderedDict()

    def get(self, text: str) -> Document:
        """Return the document of a text; raise RequestError (400) if it is no GraphQL or exceeds a limit."""
        document = self._by_text.get(text)
        if document is None:
            check_length(text)
            GRAPHQL_DOCUMENTS.inc()
            document = self._by_text[text] = prepare(text)
            if len(self._by_text) > MAX_DOCUMENTS:
                self._by_text.popitem(last=False)
        else:
            self._by_text.move_to_end(text)
        if document.refusal is not None:
            # The same exception again: without this its traceback would grow.
            raise document.refusal.with_traceback(None)
        return document


def prepare(text: str) -> Document:
    """Return the document of a text, whose errors are part of it."""
    try:
        parsed = parse_limited(text)
    except RequestError as error:
        return Document(refusal=error)
    if errors := validation_errors(parsed):
        return Document(errors=errors)
    fragments = {
        definition.name.value: definition
        for definition in parsed.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    operations = [
        _operation(definition, parsed, fragments)
        for definition in parsed.definitions
        if isinstance(definition, OperationDefinitionNode)
    ]
    return Document({operation.name: operation for operation in operations})


def _operation(node: OperationDefinitionNode, document: DocumentNode, fragments: Fragments) -> Operation:
    kind = node.operation.value
    try:
        fields = None if node.directives else _root_fields(kind, node, fragments)
    except NotCompiled:
        fields = None
    name = node.name.value if node.name else None
    return Operation(kind, name, document, Variables(node.variable_definitions or ()), fields)


def _root_fields(kind: str, node: OperationDefinitionNode, fragments: Fragments) -> list[RootField]:
    root = _ROOTS[kind]
    assert root is not None
    fields = []
    for key, nodes in collect([node.selection_set], fragments).items():
        name = nodes[0].name.value
        if name.startswith("__"):
            raise NotCompiled
        definition = root.fields[name]
        type_ = get_named_type(definition.type)
        assert isinstance(type_, GraphQLObjectType)
        sets = [each.selection_set for each in nodes if each.selection_set]
        arguments = Arguments(definition, nodes[0])
        prefix = b'"%b":' % key.encode()
        fields.append(
            RootField(prefix, key, name, nodes[0], arguments, compile_selection(type_, sets, fragments))
        )
    return fields
