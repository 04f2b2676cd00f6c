"""A filter with its parameters' values: what may be recommended, as a mask over a table's rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.events import canonical_type
from shared.filters.predicates import Predicate
from shared.filters.syntax import EVENT_TYPE, Selects, key_of
from shared.filters.table import Events, Interaction, Mask, Table

Value = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class BoundClause:
    """One INCLUDE or EXCLUDE whose values are known."""

    includes: bool
    asks_interactions: bool
    groups: tuple[tuple[Predicate, ...], ...]
    premises: tuple[Predicate, ...]

    @property
    def asks_types_alone(self) -> bool:
        """Whether nothing of an event but its type matters."""
        return all(predicate.key == EVENT_TYPE for group in self.groups for predicate in group)

    def met(self, value: Value) -> bool:
        """Whether all predicates of any group hold for the values of one event."""
        return any(all(predicate.holds(value(predicate.key)) for predicate in group) for group in self.groups)

    def rows(self, table: Table, row: int | None) -> Mask:
        """The rows for which all predicates of any group hold; `row` is the current item's."""
        found = np.zeros(len(table), np.bool_)
        for group in self.groups:
            whole = group[0].rows(table, row)
            for predicate in group[1:]:
                whole &= predicate.rows(table, row)
            found |= whole
        return found


@dataclass(frozen=True, slots=True)
class Bound:
    """What `Filter.bind` gives. It holds no state: share it among threads."""

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
        """True for the rows of `table` that may be recommended; the caller may change the array.

        `interactions` are the current user's, or for a filter of users everybody's (with `user_id`).
        `user` are the current user's attributes by column name, `item_id` the item that related items are
        asked for.
        """
        row = None if item_id is None else table.rows.get(item_id)
        included: Mask | None = None
        excluded: Mask | None = None
        attributes = {key_of(name): value for name, value in (user or {}).items()}
        for clause in self.clauses:
            if not all(premise.holds(attributes.get(premise.key)) for premise in clause.premises):
                continue
            if not clause.asks_interactions:
                found = clause.rows(table, row)
            elif isinstance(interactions, Events):
                found = self._touched_by_many(clause, table, interactions)
            else:
                found = self._touched(clause, table, interactions)
            if clause.includes:
                included = found if included is None else included | found
            else:
                excluded = found if excluded is None else excluded | found
        if included is None:
            included = np.ones(len(table), np.bool_)
        if excluded is not None:
            included &= ~excluded
        return included

    def _touched(self, clause: BoundClause, table: Table, interactions: Sequence[Interaction]) -> Mask:
        """The items, or users, of the events that the clause is about."""
        by_user, rows = self.selects == "user", table.rows
        types_alone = clause.asks_types_alone
        met_by_type: dict[str, bool] = {}
        touched = set()
        for event in interactions:
            row = rows.get((event.user_id if by_user else event.item_id) or "")
            if row is None or row in touched:
                continue
            met = met_by_type.get(event.event_type)
            if met is None:
                met = clause.met(_values_of(event))
                if types_alone:
                    met_by_type[event.event_type] = met
            if met:
                touched.add(row)
        found = np.zeros(len(table), np.bool_)
        found[list(touched)] = True
        return found

    def _touched_by_many(self, clause: BoundClause, table: Table, events: Events) -> Mask:
        """The same of events as columns."""
        met = np.zeros(len(events.rows), np.bool_)
        for group in clause.groups:
            whole = np.ones(len(events.rows), np.bool_)
            for predicate in group:
                whole &= self._met(predicate, table, events)
            met |= whole
        found = np.zeros(len(table), np.bool_)
        found[events.rows[met]] = True
        return found

    def _met(self, predicate: Predicate, table: Table, events: Events) -> Mask:
        if predicate.key == EVENT_TYPE:
            met = np.array([predicate.holds(name) for name in events.names], np.bool_)
            return np.take(met, events.types)
        if predicate.key == f"{self.selects}id":
            return np.take(predicate.rows(table), events.rows)
        return np.full(len(events.rows), predicate.holds(None))


def _values_of(event: Interaction) -> Value:
    """The fields of an event by key."""

    def value(key: str) -> Any:
        if key == EVENT_TYPE:
            return canonical_type(event.event_type)
        if key == "itemid":
            return event.item_id
        if key == "userid" and event.user_id is not None:
            return event.user_id
        return next((found for name, found in event.properties.items() if key_of(name) == key), None)

    return value
