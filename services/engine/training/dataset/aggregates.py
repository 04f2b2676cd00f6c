"""Requests to a second compute backend: the item-item matrix, and the interactions that it sums.

Every item-item matrix of a recipe is a sum over users. It may be summed in partitions of whole users: the sum
of the partitions' matrices is the matrix of all users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EventRule:
    """The interactions that count: those of `types`, with values that reach the thresholds of their types."""

    types: frozenset[str]
    thresholds: Mapping[str, float]


@dataclass(frozen=True)
class MatrixRequest:
    """An item-item matrix that is summed over users.

    "cooccurrence" is the number of common users, "gram" XᵀX of users × items with the weights of event types,
    "transitions" the forward transition counts within `reach` steps, each step multiplied by `decay`; their
    diagonal has the weight of each item's events.
    """

    matrix: Literal["cooccurrence", "gram", "transitions"]
    weights: Mapping[str, float]
    decay: float = 1.0
    reach: int = 10
