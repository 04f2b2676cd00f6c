"""A filter: its expression, parsed; what it needs; and whether a schema has the fields that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

from shared.events import canonical_type
from shared.filters import grammar, values
from shared.filters.binding import Bound, BoundClause
from shared.filters.errors import FilterError
from shared.filters.predicates import Predicate
from shared.filters.syntax import RANGES, Clause, Condition, Dataset, Operand, Selects, key_of

# What is kept of every event, by what a filter selects: all that is known when a filter is applied.
_OF_EVENTS: Mapping[Selects, tuple[str, ...]] = {"item": ("EVENT_TYPE", "ITEM_ID"), "user": ("EVENT_TYPE",)}

Given = Mapping[str, tuple[str, ...]]


class Column(Protocol):
    """A column of a dataset's schema, with its Avro type."""

    @property
    def name(self) -> str:
        """As the schema spells it."""

    @property
    def type(self) -> str:
        """string, int, long, float, double or boolean."""

    @property
    def textual(self) -> bool:
        """Whether it is a text to be read, not a category."""


@dataclass(frozen=True)
class Filter:
    """A parsed expression. It never changes: share it among threads."""

    expression: str
    clauses: tuple[Clause, ...]

    @classmethod
    def parse(cls, expression: str) -> Self:
        """Read an expression; FilterError says what is wrong, and points at the place."""
        return cls(expression, grammar.parse(expression))

    @cached_property
    def selects(self) -> Selects:
        """Whether it filters items or users."""
        return self.clauses[0].selects

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The names after `$`."""
        return frozenset(operand.text for operand in self._operands() if operand.kind == "parameter")

    @cached_property
    def needs_user(self) -> bool:
        """Whether it asks for the current user's attributes (IF)."""
        return any(clause.premises for clause in self.clauses)

    @cached_property
    def needs_item(self) -> bool:
        """Whether it asks for the item that related items are asked for (CurrentItem)."""
        return any(operand.kind == "item" for operand in self._operands())

    @cached_property
    def needs_interactions(self) -> bool:
        """Whether it asks for what users did."""
        return any(clause.dataset == "INTERACTIONS" for clause in self.clauses)

    @cached_property
    def fields(self) -> frozenset[tuple[Dataset, str]]:
        """The fields that it names, in upper case, with their datasets; CurrentUser is one of USERS."""
        named: set[tuple[Dataset, str]] = {
            (condition.dataset, condition.field.upper()) for condition in self._conditions()
        }
        named |= {("ITEMS", operand.text.upper()) for operand in self._operands() if operand.kind == "item"}
        return frozenset(named)

    def check(self, columns: Mapping[str, Iterable[Column]]) -> None:
        """Refuse fields that the schemas of the datasets (ITEMS, USERS) don't have, or that no event keeps.

        FilterError too for textual and boolean columns, and for numbers compared with texts.
        """
        known = {
            dataset: {key_of(column.name): column for column in all_} for dataset, all_ in columns.items()
        }
        for condition in self._conditions():
            column = self._column(known, condition.dataset, condition.field, condition.start)
            if column is not None:
                self._check_values(condition, column)
            for operand in condition.operands:
                if operand.kind == "item":
                    self._column(known, "ITEMS", operand.text, operand.start)

    def bind(self, given: Mapping[str, str]) -> Bound:
        """The filter with the values of a request's `filterValues`.

        FilterError for unknown names, values that can't be read, and parameters of an INCLUDE that have no
        value. A condition of an EXCLUDE whose parameter has none excludes nothing.
        """
        unknown = sorted(given.keys() - self.parameters)
        if unknown:
            known = ", ".join(sorted(self.parameters)) or "none"
            raise FilterError(f"The filter has no parameter {', '.join(unknown)}; its parameters: {known}.")
        found = {name: values.parse(name, text) for name, text in given.items()}
        clauses = (_clause(clause, found) for clause in self.clauses)
        return Bound(self.selects, tuple(clause for clause in clauses if clause is not None))

    def _conditions(self) -> Iterable[Condition]:
        return (each for clause in self.clauses for each in (*clause.conditions, *clause.premises))

    def _operands(self) -> Iterable[Operand]:
        return (operand for condition in self._conditions() for operand in condition.operands)

    def _column(
        self, known: Mapping[str, Mapping[str, Column]], dataset: Dataset, field: str, start: int
    ) -> Column | None:
        """The column of a field; None for an id, and for what is kept of every event."""
        key = key_of(field)
        if key == {"ITEMS": "itemid", "USERS": "userid"}.get(dataset):
            return None
        name = f"{dataset.title()}.{field}"
        column = known.get(dataset, {}).get(key)
        if dataset == "INTERACTIONS":
            if key in map(key_of, _OF_EVENTS[self.selects]):
                return None
            kept = " and ".join(_OF_EVENTS[self.selects])
            problem = f"{name} can't be filtered by: this filter knows {kept} of interactions."
        elif column is None:
            lack = "has no such column" if dataset in known else "does not exist yet"
            problem = f"{name} is unknown: the {dataset.title()} dataset of the dataset group {lack}."
        elif column.textual:
            problem = f"{name} is textual: it can't be filtered by."
        elif column.type == "boolean":
            problem = f"{name} is boolean, which can't be filtered by; make it a string."
        else:
            return column
        raise FilterError.at(self.expression, start, problem)

    def _check_values(self, condition: Condition, column: Column) -> None:
        if column.type == "string":
            if condition.operator in RANGES:
                problem = f"{condition.operator} compares numbers, and {condition.field} holds texts."
                raise FilterError.at(self.expression, condition.start, problem)
            return
        for operand in condition.operands:
            if operand.kind == "text" and not values.is_number(operand.text):
                problem = f"{condition.field} holds numbers, and {operand.text!r} is none."
                raise FilterError.at(self.expression, operand.start, problem)


def _clause(clause: Clause, given: Given) -> BoundClause | None:
    """The clause with its values; None when nothing is left of an EXCLUDE."""
    missing = _Missing(clause, given)
    premises = tuple(condition for condition in clause.premises if missing.refuse_or_skip(condition))
    groups = [group for group in clause.groups if all(missing.refuse_or_skip(each) for each in group)]
    if not groups or len(premises) < len(clause.premises):
        return None
    return BoundClause(
        clause.includes,
        clause.dataset == "INTERACTIONS",
        tuple(tuple(_predicate(condition, given) for condition in group) for group in groups),
        tuple(_predicate(condition, given) for condition in premises),
    )


@dataclass(frozen=True, slots=True)
class _Missing:
    """What to do with a condition whose parameter has no value."""

    clause: Clause
    given: Given

    def refuse_or_skip(self, condition: Condition) -> bool:
        """Whether the condition has all its values; FilterError when an INCLUDE has not."""
        absent = [
            operand.text
            for operand in condition.operands
            if operand.kind == "parameter" and not self.given.get(operand.text)
        ]
        if absent and self.clause.includes:
            raise FilterError(
                f"The filter includes by the parameter {absent[0]}, so filterValues must give it a value."
            )
        return not absent


def _predicate(condition: Condition, given: Given) -> Predicate:
    texts: list[str] = []
    for operand in condition.operands:
        if operand.kind == "parameter":
            texts += _checked(condition, operand.text, given[operand.text])
        elif operand.kind in {"text", "number"}:
            texts.append(operand.text)
    wild = any(operand.kind == "any" for operand in condition.operands)
    if condition.is_event_type:
        wild = wild or "*" in texts
        texts = [canonical_type(text) for text in texts]
    items = tuple(key_of(operand.text) for operand in condition.operands if operand.kind == "item")
    return Predicate(key_of(condition.field), condition.operator, tuple(texts), wild, items)


def _checked(condition: Condition, name: str, found: tuple[str, ...]) -> tuple[str, ...]:
    """The values of a parameter, if the operator can take them."""
    single = condition.operator not in {"IN", "NOT IN"}
    if single and len(found) > 1:
        raise FilterError(
            f"The filter parameter {name} is compared with {condition.operator}, which takes one value, "
            f"not {len(found)}."
        )
    if condition.operator in RANGES and not values.is_number(found[0]):
        raise FilterError(
            f"The filter parameter {name} is compared with {condition.operator}, so its value must be a "
            f"number, not {found[0]!r}."
        )
    return found
