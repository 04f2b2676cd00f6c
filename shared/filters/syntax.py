"""The syntax tree of a filter expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Dataset = Literal["ITEMS", "INTERACTIONS", "USERS"]
Selects = Literal["item", "user"]
Operator = Literal["IN", "NOT IN", "=", "<", "<=", ">", ">="]

RANGES = frozenset({"<", "<=", ">", ">="})
EVENT_TYPE = "eventtype"

_NOISE = re.compile(r"[^a-z0-9]")


@lru_cache(4096)
def key_of(name: str) -> str:
    """Return the key of a column's name: CREATION_TIMESTAMP and creationTimestamp have the same key."""
    return _NOISE.sub("", name.lower())


@dataclass(frozen=True, slots=True)
class Operand:
    """The right side of a comparison: a value, a parameter, any value (`*`) or a field of the current item.

    `start` is the offset in the expression.
    """

    kind: Literal["text", "number", "parameter", "any", "item"]
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Condition:
    """A field of a dataset, compared with operands; more than one only with IN and NOT IN."""

    dataset: Dataset
    field: str
    operator: Operator
    operands: tuple[Operand, ...]
    start: int

    @property
    def is_event_type(self) -> bool:
        """Return whether it compares the type of an event, which compares by its canonical name."""
        return self.dataset == "INTERACTIONS" and key_of(self.field) == EVENT_TYPE


@dataclass(frozen=True, slots=True)
class Clause:
    """One INCLUDE or EXCLUDE: groups are joined by OR, the conditions of a group by AND.

    It applies only if all premises (IF) hold for the current user.
    """

    includes: bool
    selects: Selects
    groups: tuple[tuple[Condition, ...], ...]
    premises: tuple[Condition, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Return the conditions of WHERE in their order."""
        return tuple(condition for group in self.groups for condition in group)

    @property
    def dataset(self) -> Dataset:
        """Return the dataset of all conditions of WHERE."""
        return self.groups[0][0].dataset
