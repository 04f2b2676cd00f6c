"""Tests of whether experiments that run at the same time disturb each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion

LEAST_PEOPLE: Final = 100
"""People in each pair of variants below which nothing is tested: the tests are asymptotic. Arbitrary."""
DEPENDENT_P: Final = 0.001
INTERACTION_P: Final = 0.05


class Cell(NamedTuple):
    """People who met a variant of both experiments, and how many of them converted since."""

    people: int
    converted: int


class Interaction(BaseModel):
    """Another experiment, and the people who are in both."""

    experiment: str
    version: int
    people: dict[str, dict[str, int]] = Field(description="variant → variant of the other one → people")
    assignment_p: float | None = Field(
        description="χ² test, for one look, that the assignments are independent; null below a hundred "
        "people in a pair of variants"
    )
    effects_p: float | None = Field(
        description="Cochran's Q, for one look, that the effects on the conversion by the event of the first "
        "metric are the same in all variants of the other; adjusted for the number of experiments"
    )
    problem: str | None


class Interactions(BaseModel):
    """The experiments that run at the same time."""

    name: str
    version: int
    event: str = Field(description="the event whose conversion is compared, that of the first metric")
    interactions: list[Interaction]


def interactions_of(
    version: StoredVersion, beside: Sequence[tuple[StoredVersion, Mapping[tuple[str, str], Cell]]]
) -> Interactions:
    """Test a version with each experiment beside it, whose people are by the variants of both.

    The first call of a process loads numpy and scipy: call it in a thread.
    """
    import numpy as np  # noqa: PLC0415 - 50 MB that only results need

    from services.router.statistics import (  # noqa: PLC0415
        benjamini_hochberg,
        equal_effects_p,
        independence_p,
    )

    tested: list[tuple[StoredVersion, list[list[Cell]], float, float]] = []
    for competitor, cells in beside:
        rows = [
            [cells.get((mine.name, theirs.name), Cell(0, 0)) for theirs in competitor.variants]
            for mine in version.variants
        ]
        assignment_p = effects_p = math.nan
        if min(cell.people for row in rows for cell in row) >= LEAST_PEOPLE:
            counts = [[cell.people for cell in row] for row in rows]
            assignment_p = independence_p(counts)
            effects_p = equal_effects_p(counts, [[cell.converted for cell in row] for row in rows])
        tested.append((competitor, rows, assignment_p, effects_p))
    adjusted = benjamini_hochberg(np.array([p for *_, p in tested])).tolist() if tested else []
    return Interactions(
        name=version.name,
        version=version.version,
        event=version.measured[0].event,
        interactions=[
            Interaction(
                experiment=competitor.name,
                version=competitor.version,
                people={
                    mine.name: {
                        theirs.name: cell.people
                        for theirs, cell in zip(competitor.variants, row, strict=True)
                    }
                    for mine, row in zip(version.variants, rows, strict=True)
                },
                assignment_p=_number(assignment_p),
                effects_p=_number(effects_p),
                problem=_problem(competitor.name, assignment_p, effects_p),
            )
            for (competitor, rows, assignment_p, _), effects_p in zip(tested, adjusted, strict=True)
        ],
    )


def _problem(name: str, assignment_p: float, effects_p: float) -> str | None:
    if assignment_p < DEPENDENT_P:
        return (
            f"Who meets which variant depends on {name} (p = {assignment_p:.2g}): one of the two changes who "
            "is exposed, or the assignment is faulty."
        )
    if effects_p < INTERACTION_P:
        return (
            f"The effect differs between the variants of {name} (p = {effects_p:.2g}): decide for the "
            "combination that stays, or put both into one layer."
        )
    return None


def _number(value: float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
