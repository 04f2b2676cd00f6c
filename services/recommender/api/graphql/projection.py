"""Compile a selection of fields to a function that encodes values as JSON.

An object is a tuple with an entry for each field of its type, in the order of `schema.FIELDS`: the JSON of a
scalar as bytes, a tuple for an object, a list of tuples for a list. The types are objects without interfaces
and unions, so that a fragment on a valid place always applies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from graphql import FieldNode, FragmentSpreadNode, GraphQLObjectType, get_named_type

from services.recommender.api.graphql.schema import FIELDS

if TYPE_CHECKING:
    from graphql import FragmentDefinitionNode, SelectionSetNode

Encoder = Callable[[Any], bytes]
"""Encodes the tuple of an object."""

Fragments = Mapping[str, "FragmentDefinitionNode"]


class NotCompiled(Exception):
    """The selection depends on the request (directives), or on the schema (introspection)."""


def collect(
    selection_sets: list[SelectionSetNode], fragments: Fragments, visited: set[str] | None = None
) -> dict[str, list[FieldNode]]:
    """Return the fields of selections by response name, in their order; raise NotCompiled for directives.

    A fragment is expanded once, however often it is spread (GraphQL specification, CollectFields).
    """
    visited = set() if visited is None else visited
    fields: dict[str, list[FieldNode]] = {}
    for selection_set in selection_sets:
        for selection in selection_set.selections:
            if selection.directives:
                raise NotCompiled
            if isinstance(selection, FieldNode):
                name = selection.alias.value if selection.alias else selection.name.value
                fields.setdefault(name, []).append(selection)
                continue
            if isinstance(selection, FragmentSpreadNode):
                if selection.name.value in visited:
                    continue
                visited.add(selection.name.value)
                inner = fragments[selection.name.value].selection_set
            else:
                inner = selection.selection_set  # type: ignore[attr-defined] # an inline fragment
            for name, nodes in collect([inner], fragments, visited).items():
                fields.setdefault(name, []).extend(nodes)
    return fields


def compile_selection(
    type_: GraphQLObjectType, selection_sets: list[SelectionSetNode], fragments: Fragments
) -> Encoder:
    """Return the encoder of a selection on an object type; raise NotCompiled if there is none."""
    order = FIELDS[type_.name]
    template = b"{"
    indexes: list[int] = []
    nested: list[tuple[int, Encoder]] = []
    for name, nodes in collect(selection_sets, fragments).items():
        field = nodes[0].name.value
        template += b'%b"%b":' % (b"" if template == b"{" else b",", name.encode())
        if field == "__typename":
            template += b'"%b"' % type_.name.encode()
            continue
        template += b"%b"
        inner = get_named_type(type_.fields[field].type)
        if isinstance(inner, GraphQLObjectType):
            sets = [node.selection_set for node in nodes if node.selection_set]
            nested.append((len(indexes), compile_selection(inner, sets, fragments)))
        indexes.append(order.index(field))
    return _encoder(template + b"}", indexes, nested)


def _encoder(template: bytes, indexes: list[int], nested: list[tuple[int, Encoder]]) -> Encoder:
    if not indexes:
        return lambda _: template
    if not nested:
        if len(indexes) == 1:  # of one index `itemgetter` returns no tuple
            (index,) = indexes
            return lambda value: template % value[index]
        get = itemgetter(*indexes)
        return lambda value: template % get(value)

    def encode(value: Any) -> bytes:
        entries = [value[index] for index in indexes]
        for position, encoder in nested:
            entries[position] = _encode_nested(entries[position], encoder)
        return template % tuple(entries)

    return encode


def _encode_nested(value: Any, encoder: Encoder) -> bytes:
    if isinstance(value, list):
        return b"[%b]" % b",".join(map(encoder, value))
    return b"null" if value is None else encoder(value)
