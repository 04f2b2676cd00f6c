"""The limits of a query text and its document, checked before validation.

Validation compares every two fields of one response name: 400 repeated fields took a second (measured).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from graphql import GraphQLSyntaxError, Source, parse
from graphql.language import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
)

from services.recommender.api.graphql.errors import UNPARSABLE, malformed

if TYPE_CHECKING:
    from graphql import DocumentNode, SelectionSetNode

MAX_CHARACTERS: Final = 8_000
MAX_TOKENS: Final = 300
"""Enough for all operations of the schema in one document, and for the introspection of tools (163)."""

MAX_COMMENTS: Final = 100
MAX_DEPTH: Final = 15
"""Nested fields; introspection of tools has 13."""

MAX_ALIASES: Final = 15
MAX_REPETITIONS: Final = 25
"""Fields of one response name in a document; validation of as many took 8 ms (measured)."""

MAX_ROOT_FIELDS: Final = 15
"""Root fields in a document: each is a list to look up."""


def check_length(text: str) -> None:
    """Raise RequestError (400) if the text is too long."""
    if len(text) > MAX_CHARACTERS:
        raise malformed(f"The query has {len(text)} characters; {MAX_CHARACTERS} are allowed.")


def parse_limited(text: str) -> DocumentNode:
    """Return the document of a text; raise RequestError (400) if it is too large or no GraphQL."""
    try:
        document = parse(
            Source(text),
            max_lexical_tokens=MAX_TOKENS,
            max_comments=MAX_COMMENTS,
            allow_empty_selection_sets=False,
        )
    except GraphQLSyntaxError as error:
        if "limit" in error.message or "more than" in error.message:
            message = f"The query has more than {MAX_TOKENS} tokens or {MAX_COMMENTS} comments: split it."
            raise malformed(message) from None
        raise malformed(UNPARSABLE) from None
    except RecursionError:
        raise malformed(f"The query is nested too deeply; {MAX_DEPTH} levels are allowed.") from None
    _Measure(document).check()
    return document


class _Measure:
    """Counts the fields of a document and measures its depth."""

    def __init__(self, document: DocumentNode) -> None:
        self._document = document
        self._fragments = {
            definition.name.value: definition.selection_set
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._depths: dict[str, int] = {}
        self._names: Counter[str] = Counter()
        self._aliases = 0

    def check(self) -> None:
        """Raise RequestError (400) over a limit."""
        depth, roots = 0, 0
        for definition in self._document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                roots += len(definition.selection_set.selections)
                depth = max(depth, self._depth(definition.selection_set))
        for name in self._fragments:
            self._fragment_depth(name)
        name, most = next(iter(self._names.most_common(1)), ("", 0))
        if depth > MAX_DEPTH:
            raise malformed(f"The query is {depth} levels deep; {MAX_DEPTH} are allowed.")
        if roots > MAX_ROOT_FIELDS:
            raise malformed(f"The query has {roots} root fields; {MAX_ROOT_FIELDS} are allowed.")
        if self._aliases > MAX_ALIASES:
            raise malformed(f"The query has {self._aliases} aliases; {MAX_ALIASES} are allowed.")
        if most > MAX_REPETITIONS:
            raise malformed(f"The query has {name} {most} times; {MAX_REPETITIONS} are allowed.")

    def _depth(self, selection_set: SelectionSetNode) -> int:
        deepest = 0
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                self._names[selection.alias.value if selection.alias else selection.name.value] += 1
                self._aliases += selection.alias is not None
                inner = self._depth(selection.selection_set) if selection.selection_set else 0
                deepest = max(deepest, 1 + inner)
            elif isinstance(selection, FragmentSpreadNode):
                deepest = max(deepest, self._fragment_depth(selection.name.value))
            elif isinstance(selection, InlineFragmentNode):
                deepest = max(deepest, self._depth(selection.selection_set))
        return deepest

    def _fragment_depth(self, name: str) -> int:
        """Return the depth of a fragment; 0 for one that is unknown, or contains itself: it is invalid."""
        if name not in self._depths:
            self._depths[name] = 0
            fragment = self._fragments.get(name)
            self._depths[name] = self._depth(fragment) if fragment else 0
        return self._depths[name]
