"""A parsed filter: what it needs to be applied, and whether the schemas have the fields that it names."""

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

# The fields of an event that are stored, and so known when a filter is applied, by what the filter selects.
_EVENT_FIELDS: Mapping[Selects, tuple[str, ...]] = {
    "item": ("EVENT_TYPE", "ITEM_ID"),
    "user": ("EVENT_TYPE",),
}

ParameterValues = Mapping[str, tuple[str, ...]]


class Column(Protocol):
    """A column of a dataset's schema, with its Avro type."""

    @property
    def name(self) -> str:
        """Return the name as in the schema."""

    @property
    def type(self) -> str:
        """Return string, int, long, float, double or boolean."""

    @property
    def textual(self) -> bool:
        """Return whether it is free text (`textual` in the schema), not a category."""


@dataclass(frozen=True)
class Filter:
    """A parsed expression. It is immutable and thread-safe."""

    expression: str
    clauses: tuple[Clause, ...]

    @classmethod
    def parse(cls, expression: str) -> Self:
        """Parse an expression; raises FilterError with the place of a problem."""
        return cls(expression, grammar.parse(expression))

    @cached_property
    def selects(self) -> Selects:
        """Return whether it filters items or users."""
        return self.clauses[0].selects

    @cached_property
    def parameters(self) -> frozenset[str]:
        """Return the names of its parameters, without `$`."""
        return frozenset(operand.text for operand in self._operands() if operand.kind == "parameter")

    @cached_property
    def needs_user(self) -> bool:
        """Return whether it needs the current user's attributes (IF)."""
        return any(clause.premises for clause in self.clauses)

    @cached_property
    def needs_item(self) -> bool:
        """Return whether it needs the item to which related items are requested (CurrentItem)."""
        return any(operand.kind == "item" for operand in self._operands())

    @cached_property
    def needs_interactions(self) -> bool:
        """Return whether it needs interactions."""
        return any(clause.dataset == "INTERACTIONS" for clause in self.clauses)

    @cached_property
    def fields(self) -> frozenset[tuple[Dataset, str]]:
        """Return the (dataset, field in upper case) pairs that it names; CurrentUser belongs to USERS."""
        named: set[tuple[Dataset, str]] = {
            (condition.dataset, condition.field.upper()) for condition in self._conditions()
        }
        named |= {("ITEMS", operand.text.upper()) for operand in self._operands() if operand.kind == "item"}
        return frozenset(named)

    def check(self, columns: Mapping[str, Iterable[Column]]) -> None:
        """Check the fields against the columns of the datasets (ITEMS, USERS).

        Raises FilterError for unknown fields, fields of events that are not stored, textual and boolean
        columns, and numbers compared with texts.
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

    def bind(self, filter_values: Mapping[str, str]) -> Bound:
        """Return the filter with the values of a request's `filterValues`.

        Raises FilterError for unknown names, malformed values, and parameters of an INCLUDE without a value.
        A condition of an EXCLUDE whose parameter has no value excludes nothing.
        """
        unknown = sorted(filter_values.keys() - self.parameters)
        if unknown:
            known = ", ".join(sorted(self.parameters)) or "none"
            raise FilterError(f"The filter has no parameter {', '.join(unknown)}; its parameters: {known}.")
        parameters = {name: values.parse(name, text) for name, text in filter_values.items()}
        clauses = (_clause(clause, parameters) for clause in self.clauses)
        return Bound(self.selects, tuple(clause for clause in clauses if clause is not None))

    def _conditions(self) -> Iterable[Condition]:
        return (condition for clause in self.clauses for condition in (*clause.conditions, *clause.premises))

    def _operands(self) -> Iterable[Operand]:
        return (operand for condition in self._conditions() for operand in condition.operands)

    def _column(
        self, known: Mapping[str, Mapping[str, Column]], dataset: Dataset, field: str, start: int
    ) -> Column | None:
        """Return the column of a field; None for an id and for a stored field of events."""
        key = key_of(field)
        if key == {"ITEMS": "itemid", "USERS": "userid"}.get(dataset):
            return None
        name = f"{dataset.title()}.{field}"
        column = known.get(dataset, {}).get(key)
        if dataset == "INTERACTIONS":
            if key in map(key_of, _EVENT_FIELDS[self.selects]):
                return None
            stored = " and ".join(_EVENT_FIELDS[self.selects])
            problem = f"{name} can't be used in a filter: of interactions it can use {stored}."
        elif column is None:
            reason = "has no such column" if dataset in known else "does not exist yet"
            problem = f"{name} is unknown: the {dataset.title()} dataset of the dataset group {reason}."
        elif column.textual:
            problem = f"{name} is textual and can't be used in a filter."
        elif column.type == "boolean":
            problem = f"{name} is boolean and can't be used in a filter; make it a string."
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
                problem = f"{condition.field} holds numbers, and {operand.text!r} is not a number."
                raise FilterError.at(self.expression, operand.start, problem)


def _clause(clause: Clause, parameters: ParameterValues) -> BoundClause | None:
    """Return the clause with its values; None for an EXCLUDE that without its values excludes nothing."""

    def has_values(condition: Condition) -> bool:
        return _has_values(clause, condition, parameters)

    premises = tuple(condition for condition in clause.premises if has_values(condition))
    groups = [group for group in clause.groups if all(has_values(condition) for condition in group)]
    if not groups or len(premises) < len(clause.premises):
        return None
    return BoundClause(
        clause.includes,
        clause.dataset == "INTERACTIONS",
        tuple(tuple(_predicate(condition, parameters) for condition in group) for group in groups),
        tuple(_predicate(condition, parameters) for condition in premises),
    )


def _has_values(clause: Clause, condition: Condition, parameters: ParameterValues) -> bool:
    """Return whether all parameters of the condition have values; FilterError if an INCLUDE lacks one."""
    missing = [
        operand.text
        for operand in condition.operands
        if operand.kind == "parameter" and not parameters.get(operand.text)
    ]
    if missing and clause.includes:
        raise FilterError(
            f"The filter includes by the parameter {missing[0]}, so filterValues must give it a value."
        )
    return not missing


def _predicate(condition: Condition, parameters: ParameterValues) -> Predicate:
    texts: list[str] = []
    for operand in condition.operands:
        if operand.kind == "parameter":
            texts += _checked(condition, operand.text, parameters[operand.text])
        elif operand.kind in {"text", "number"}:
            texts.append(operand.text)
    any_value = any(operand.kind == "any" for operand in condition.operands)
    if condition.is_event_type:
        any_value = any_value or "*" in texts
        texts = [canonical_type(text) for text in texts]
    items = tuple(key_of(operand.text) for operand in condition.operands if operand.kind == "item")
    return Predicate(key_of(condition.field), condition.operator, tuple(texts), any_value, items)


def _checked(condition: Condition, name: str, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of a parameter; FilterError if its operator does not take them."""
    single = condition.operator not in {"IN", "NOT IN"}
    if single and len(texts) > 1:
        raise FilterError(
            f"The filter parameter {name} is compared with {condition.operator}, which takes one value, "
            f"not {len(texts)}."
        )
    if condition.operator in RANGES and not values.is_number(texts[0]):
        raise FilterError(
            f"The filter parameter {name} is compared with {condition.operator}, so its value must be a "
            f"number, not {texts[0]!r}."
        )
    return texts
