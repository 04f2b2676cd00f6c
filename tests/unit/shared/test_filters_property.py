"""A mask equals the result of checking the catalogue item by item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.filters import Events, Filter, Interaction, Table

TEXTS = ["red", "Red", "blue", "a b", "x,y", "7", "it's"]
NUMBERS = [-1.5, 0.0, 1.0, 2.0, 7.0, 1e6]
TYPES = ["view", "purchase", "click", "own_type"]
SPELLINGS = {
    "view": ["VIEW", "Product Viewed"],
    "purchase": ["Purchase", "Order Completed"],
    "click": ["click"],
    "own_type": ["Own_Type"],
}
TEXT_FIELDS = {"Items": ["COLOUR", "STYLE_L1"], "Interactions": ["DEVICE"], "CurrentUser": ["TIER"]}
NUMBER_FIELDS = {"Items": ["PRICE", "STOCK"], "Interactions": ["EVENT_VALUE"], "CurrentUser": ["AGE"]}
RANGES = ["<", "<=", ">", ">="]
MISSING = object()


@dataclass(frozen=True)
class Condition:
    dataset: str
    field: str
    operator: str
    wanted: tuple[Any, ...]  # texts or numbers; "*" for any event type
    parameter: str | None = None  # wanted comes by this name

    def text(self) -> str:
        values = [f"${self.parameter}"] if self.parameter else [_literal(value) for value in self.wanted]
        right = f"({', '.join(values)})" if "IN" in self.operator else values[0]
        return f"{self.dataset}.{self.field} {self.operator} {right}"


@dataclass(frozen=True)
class Clause:
    includes: bool
    groups: tuple[tuple[Condition, ...], ...]
    premises: tuple[Condition, ...]

    def text(self) -> str:
        where = " OR ".join(" AND ".join(c.text() for c in group) for group in self.groups)
        premise = f" IF {' AND '.join(c.text() for c in self.premises)}" if self.premises else ""
        return f"{'INCLUDE' if self.includes else 'exclude'} ItemID WHERE {where}{premise}"


def _literal(value: Any) -> str:
    if value == "*" or not isinstance(value, str):
        return str(value)
    return f"'{value}'" if '"' in value else f'"{value}"'


@st.composite
def conditions(draw: st.DrawFn, dataset: str, name: str, *, includes: bool) -> Condition:
    kind = draw(st.sampled_from(["text", "number"] + ["type"] * (dataset == "Interactions")))
    if kind == "number":
        field = draw(st.sampled_from(NUMBER_FIELDS[dataset]))
        operator = draw(st.sampled_from(["IN", "NOT IN", "=", *RANGES]))
        values: list[Any] = NUMBERS
    else:
        field = "EVENT_TYPE" if kind == "type" else draw(st.sampled_from(TEXT_FIELDS[dataset]))
        operator = draw(st.sampled_from(["IN", "NOT IN", "="]))
        values = ["*", *TYPES] if kind == "type" else TEXTS
    many = 3 if "IN" in operator else 1
    wanted = tuple(draw(st.lists(st.sampled_from(values), min_size=1, max_size=many)))
    if not draw(st.booleans()):
        return Condition(dataset, field, operator, wanted)
    if not includes and draw(st.integers(0, 3)) == 0:
        return Condition(dataset, field, operator, (MISSING,), name)
    return Condition(dataset, field, operator, wanted, name)


@st.composite
def clauses(draw: st.DrawFn, number: int) -> Clause:
    includes = draw(st.booleans())
    dataset = draw(st.sampled_from(["Items", "Interactions"]))
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    groups = tuple(
        tuple(draw(conditions(dataset, f"P{number}_{g}_{c}", includes=includes)) for c in range(count))
        for g, count in enumerate(shape)
    )
    premises = tuple(
        draw(conditions("CurrentUser", f"U{number}_{c}", includes=includes))
        for c in range(draw(st.integers(0, 2)))
    )
    return Clause(includes, groups, premises)


def rows(texts: list[str], numbers: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    cell = st.one_of(st.none(), st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3).map("|".join))
    number = st.one_of(st.none(), st.sampled_from(NUMBERS))
    return st.fixed_dictionaries({**dict.fromkeys(texts, cell), **dict.fromkeys(numbers, number)})


ITEMS = st.lists(rows(TEXT_FIELDS["Items"], NUMBER_FIELDS["Items"]), max_size=12)
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 13),
        st.sampled_from(TYPES),
        rows(TEXT_FIELDS["Interactions"], NUMBER_FIELDS["Interactions"]),
    ),
    max_size=12,
)
USERS = st.one_of(st.none(), rows(TEXT_FIELDS["CurrentUser"], NUMBER_FIELDS["CurrentUser"]))
FILTERS = st.integers(1, 4).flatmap(lambda count: st.tuples(*(clauses(number) for number in range(count))))


def holds(condition: Condition, row: dict[str, Any]) -> bool:
    """One comparison, as docs/filters.md says it."""
    if condition.wanted == (MISSING,):
        return False
    cell = row.get(condition.field)
    if condition.operator in RANGES:
        (bound,) = condition.wanted
        return (
            cell is not None
            and {
                "<": cell < bound,
                "<=": cell <= bound,
                ">": cell > bound,
                ">=": cell >= bound,
            }[condition.operator]
        )
    if condition.field == "EVENT_TYPE":
        among = "*" in condition.wanted or cell in condition.wanted
    elif isinstance(cell, str):
        among = bool(set(cell.split("|")) & set(condition.wanted))
    else:
        among = cell is not None and cell in condition.wanted
    return not among if condition.operator == "NOT IN" else among


def chosen(
    clause: Clause, items: dict[str, dict[str, Any]], events: list[tuple[str, dict[str, Any]]]
) -> set[str]:
    asked = list(items.items()) if clause.groups[0][0].dataset == "Items" else events
    return {
        item
        for item, row in asked
        for group in clause.groups
        if all(holds(condition, row) for condition in group)
    }


@settings(max_examples=200, deadline=None)
@given(filters=FILTERS, items=ITEMS, events=EVENTS, user=USERS, data=st.data())
def test_a_mask_is_the_set_that_brute_force_finds(
    filters: tuple[Clause, ...],
    items: list[dict[str, Any]],
    events: list[tuple[int, str, dict[str, Any]]],
    user: dict[str, Any] | None,
    data: st.DataObject,
) -> None:
    catalogue = {f"i{number}": row for number, row in enumerate(items)}
    happened = [(f"i{number}", row | {"EVENT_TYPE": type_}) for number, type_, row in events]
    counted = [c for c in filters if all(holds(premise, user or {}) for premise in c.premises)]
    included = [chosen(c, catalogue, happened) for c in counted if c.includes]
    excluded = [chosen(c, catalogue, happened) for c in counted if not c.includes]
    expected = (set().union(*included) if included else set(catalogue)) - set().union(*excluded)

    table = Table(list(catalogue), {name: _column(name, items) for name in _names(items)})
    did = [
        Interaction(f"i{number}", data.draw(st.sampled_from(SPELLINGS[type_])), row)
        for number, type_, row in events
    ]
    bound = Filter.parse(" | ".join(c.text() for c in filters)).bind(_values(filters))
    mask = bound.mask(table, interactions=did, user=user)

    assert {id_ for id_, kept in zip(table.ids, mask, strict=True) if kept} == expected & set(catalogue)

    if all(c.groups[0][0].dataset == "Items" and not c.premises for c in filters):
        assert {id_ for id_, row in catalogue.items() if bound.admits(_field_of(id_, row))} == expected, (
            "item by item"
        )

    # Events as columns say the same, as far as they go.
    known = [(number, type_) for number, type_, _ in events if number < len(items)]
    columns = Events(
        np.array([number for number, _ in known], np.int64),
        np.array([TYPES.index(type_) for _, type_ in known], np.int64),
        tuple(TYPES),
    )
    bare = [Interaction(f"i{number}", type_) for number, type_ in known]
    assert (
        bound.mask(table, interactions=columns, user=user).tolist()
        == bound.mask(table, interactions=bare, user=user).tolist()
    )


def _field_of(item_id: str, row: dict[str, Any]) -> Any:
    by_key = {name.lower().replace("_", ""): value for name, value in row.items()} | {"itemid": item_id}
    return by_key.get


def _names(items: list[dict[str, Any]]) -> list[str]:
    return list(items[0]) if items else []


def _column(name: str, items: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    cells = [row[name] for row in items]
    if name in NUMBER_FIELDS["Items"]:
        return np.array([np.nan if cell is None else cell for cell in cells], np.float64)
    return np.array(cells, object)


def _values(filters: tuple[Clause, ...]) -> dict[str, str]:
    asked = [c for clause in filters for c in (*clause.premises, *(c for g in clause.groups for c in g))]
    return {
        condition.parameter: ",".join(
            f'"{value}"' if isinstance(value, str) else str(value) for value in condition.wanted
        )
        for condition in asked
        if condition.parameter and condition.wanted != (MISSING,)
    }
