"""Check the definition of a placement: what its types do not say, and the names that it refers to.

The engine checks a definition before it is stored, the recommender before a preview.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from shared.errors import Permanent
from shared.events.placements import Placement, strategy_problems
from shared.filters.errors import FilterError
from shared.filters.filter import Filter
from shared.filters.placement_rules import placement_problems


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a definition may refer to: the campaigns of the tenant, and its filters."""

    campaigns: frozenset[str]
    filters: Mapping[str, str]
    """The expression of each filter."""


def parse(document: bytes | str) -> Placement:
    """Return the definition in a JSON document.

    Raise Permanent that names every invalid or unknown member.
    """
    try:
        return Placement.model_validate_json(document, extra="forbid")
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc'])) or 'the body'}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise Permanent(f"The placement is invalid: {'; '.join(problems)}.") from None


def check(placement: Placement, names: Names) -> None:
    """Raise Permanent that names every member of a definition that cannot be served."""
    problems = [
        *strategy_problems(placement),
        *_campaigns(placement, names),
        *_filters(placement, names),
        *_rules(placement),
    ]
    if problems:
        raise Permanent(f"The placement is invalid: {'; '.join(problems)}.")


def _campaigns(placement: Placement, names: Names) -> Iterator[str]:
    for index, use in enumerate(placement.strategies):
        if use.campaign is not None and use.campaign not in names.campaigns:
            known = _listed(names.campaigns)
            yield f"strategies[{index}]: there is no campaign {use.campaign!r}; there are: {known}"


def _filters(placement: Placement, names: Names) -> Iterator[str]:
    for index, use in enumerate(placement.filters):
        expression = names.filters.get(use.name)
        if expression is None:
            yield f"filters[{index}]: there is no filter {use.name!r}; there are: {_listed(names.filters)}"
            continue
        if problem := _filter_problem(expression, use.values):
            yield f"filters[{index}]: {problem}"


def _rules(placement: Placement) -> Iterator[str]:
    yield from (problem.removesuffix(".") for problem in placement_problems(placement))
    if sum(promotion.percent for promotion in placement.rules.promotions) > 100:
        yield "rules.promotions: the shares are more than 100 percent together"


def _filter_problem(expression: str, values: Mapping[str, str]) -> str | None:
    """Return why a filter cannot be used with these values, or None."""
    try:
        parsed = Filter.parse(expression)
        parsed.bind(values)
    except FilterError as error:
        return str(error)
    return None if parsed.selects == "item" else f"it selects {parsed.selects}s, but it must select items"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
