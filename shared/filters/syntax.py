"""What an expression says, as it was parsed."""

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
    """What a column's name is compared by: CREATION_TIMESTAMP and creationTimestamp are one column."""
    return _NOISE.sub("", name.lower())


@dataclass(frozen=True, slots=True)
class Operand:
    """What a field is compared with: a value, a parameter's name, any value (`*`), the current item's field.

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
        """Whether it asks for the type of an event: those compare as everywhere in the product."""
        return self.dataset == "INTERACTIONS" and key_of(self.field) == EVENT_TYPE


@dataclass(frozen=True, slots=True)
class Clause:
    """One INCLUDE or EXCLUDE: the conditions of any group, if all premises hold for the current user."""

    includes: bool
    selects: Selects
    groups: tuple[tuple[Condition, ...], ...]
    premises: tuple[Condition, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Those of WHERE, in their order."""
        return tuple(condition for group in self.groups for condition in group)

    @property
    def dataset(self) -> Dataset:
        """The one dataset that all conditions of WHERE are about."""
        return self.groups[0][0].dataset
