"""A filter whose parameters have values, applied as a mask over the rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.events import canonical_type
from shared.filters.predicates import Predicate
from shared.filters.syntax import EVENT_TYPE, Selects, key_of
from shared.filters.table import Events, Interaction, Mask, Table

FieldOf = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class BoundClause:
    """One INCLUDE or EXCLUDE with the values of its parameters."""

    includes: bool
    is_about_interactions: bool
    groups: tuple[tuple[Predicate, ...], ...]
    premises: tuple[Predicate, ...]

    @property
    def is_about_types_only(self) -> bool:
        """True if it depends on nothing but the type of an event."""
        return all(predicate.key == EVENT_TYPE for group in self.groups for predicate in group)

    def matches(self, field_of: FieldOf) -> bool:
        """Return whether all predicates of any group hold; `field_of` maps a key to a field of the event."""
        return any(
            all(predicate.holds(field_of(predicate.key)) for predicate in group) for group in self.groups
        )

    def rows(self, table: Table, row: int | None) -> Mask:
        """Return bool[rows]: where all predicates of any group hold; `row` is that of the current item."""
        matching = np.zeros(len(table), np.bool_)
        for group in self.groups:
            group_rows = group[0].rows(table, row)
            for predicate in group[1:]:
                group_rows &= predicate.rows(table, row)
            matching |= group_rows
        return matching


@dataclass(frozen=True, slots=True)
class Bound:
    """A filter that is ready to be applied, from `Filter.bind`. It is immutable and thread-safe."""

    selects: Selects
    clauses: tuple[BoundClause, ...]

    def mask(
        self,
        table: Table,
        *,
        interactions: Sequence[Interaction] | Events = (),
        user: Mapping[str, Any] | None = None,
        item_id: str | None = None,
    ) -> Mask:
        """Return bool[rows]: True for the rows of `table` that pass; the caller may change the array.

        `interactions` are those of the current user, or for a filter of users those of all users (with
        `user_id`). `user` maps column names to the current user's attributes. `item_id` is the current item,
        to which related items are requested.
        """
        row = None if item_id is None else table.rows.get(item_id)
        included: Mask | None = None
        excluded: Mask | None = None
        attributes = {key_of(name): value for name, value in (user or {}).items()}
        for clause in self.clauses:
            if not all(premise.holds(attributes.get(premise.key)) for premise in clause.premises):
                continue
            if not clause.is_about_interactions:
                matching = clause.rows(table, row)
            elif isinstance(interactions, Events):
                matching = self._rows_of_events(clause, table, interactions)
            else:
                matching = self._rows_of_interactions(clause, table, interactions)
            if clause.includes:
                included = matching if included is None else included | matching
            else:
                excluded = matching if excluded is None else excluded | matching
        if included is None:
            included = np.ones(len(table), np.bool_)
        if excluded is not None:
            included &= ~excluded
        return included

    def admits(self, field_of: FieldOf) -> bool:
        """Return whether an item passes, by its own columns alone; `field_of` maps a key to a value.

        It is for filters without conditions on interactions, the current user or the current item.
        """
        included: bool | None = None
        for clause in self.clauses:
            matching = clause.matches(field_of)
            if clause.includes:
                included = bool(included) or matching
            elif matching:
                return False
        return included is not False

    def _rows_of_interactions(
        self, clause: BoundClause, table: Table, interactions: Sequence[Interaction]
    ) -> Mask:
        """Return bool[rows]: the items, or users, of the interactions that match the clause."""
        by_user, rows = self.selects == "user", table.rows
        types_only = clause.is_about_types_only
        match_by_type: dict[str, bool] = {}
        matching_rows = set()
        for event in interactions:
            row = rows.get((event.user_id if by_user else event.item_id) or "")
            if row is None or row in matching_rows:
                continue
            is_match = match_by_type.get(event.event_type)
            if is_match is None:
                is_match = clause.matches(_fields_of(event))
                if types_only:
                    match_by_type[event.event_type] = is_match
            if is_match:
                matching_rows.add(row)
        mask = np.zeros(len(table), np.bool_)
        mask[list(matching_rows)] = True
        return mask

    def _rows_of_events(self, clause: BoundClause, table: Table, events: Events) -> Mask:
        """Return bool[rows]: the items, or users, of the events, held as columns, that match the clause."""
        matching = np.zeros(len(events.rows), np.bool_)
        for group in clause.groups:
            group_matches = np.ones(len(events.rows), np.bool_)
            for predicate in group:
                group_matches &= self._matching_events(predicate, table, events)
            matching |= group_matches
        mask = np.zeros(len(table), np.bool_)
        mask[events.rows[matching]] = True
        return mask

    def _matching_events(self, predicate: Predicate, table: Table, events: Events) -> Mask:
        """Return bool[events]: the events for which a predicate holds."""
        if predicate.key == EVENT_TYPE:
            type_matches = np.array([predicate.holds(name) for name in events.names], np.bool_)
            return np.take(type_matches, events.types)
        if predicate.key == f"{self.selects}id":
            return np.take(predicate.rows(table), events.rows)
        return np.full(len(events.rows), predicate.holds(None))


def _fields_of(event: Interaction) -> FieldOf:
    """Return a function from a key to the field of an event; None for a field that it does not have."""

    def field_of(key: str) -> Any:
        if key == EVENT_TYPE:
            return canonical_type(event.event_type)
        if key == "itemid":
            return event.item_id
        if key == "userid" and event.user_id is not None:
            return event.user_id
        return next((value for name, value in event.properties.items() if key_of(name) == key), None)

    return field_of
