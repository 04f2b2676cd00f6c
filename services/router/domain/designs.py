"""Rules for definitions of each design."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from shared.experiments import (
    AFFINITY,
    HOLDOUT,
    INTERLEAVED,
    RECOMMENDATIONS,
    SIMILAR,
    Bandit,
)

if TYPE_CHECKING:
    from services.router.domain.experiments import Definition

_INTERLEAVED_SURFACES: Final = frozenset({RECOMMENDATIONS, SIMILAR, AFFINITY})


def design_problems(definition: Definition) -> Iterator[str]:
    """Yield a sentence for each member that the design does not go with."""
    if definition.trigger_share is not None and (
        definition.surface == HOLDOUT or definition.design.kind != "split"
    ):
        yield "trigger_share: only the answers of a split on a surface that answers can be compared"
    check = _CHECKS.get(definition.design.kind)
    if check is not None:
        if definition.surface == HOLDOUT:
            yield f"a holdout keeps its units and shares: it takes no {definition.design.kind}"
        yield from check(definition)


def _of_bandit(definition: Definition) -> Iterator[str]:
    design, reward = definition.design, next(iter(definition.metrics or ()), None)
    assert isinstance(design, Bandit)
    if design.floor * len(definition.variants) > 1:
        yield f"design.floor: {design.floor:g} for each variant is more than all units"
    if reward is not None and (reward.per is not None or reward.winsorize is not None):
        yield f"metric {reward.name}: the reward of a bandit takes no per and no winsorize"


def _of_switchback(definition: Definition) -> Iterator[str]:
    if len({variant.weight for variant in definition.variants}) > 1:
        yield "the variants of a switchback get the same number of windows: leave the weights out"
    for metric in definition.metrics or ():
        if metric.winsorize is not None or metric.window_days is not None or metric.recommended_only:
            yield f"metric {metric.name}: windows take no winsorize, no window_days and no recommended_only"


def _of_interleaving(definition: Definition) -> Iterator[str]:
    surface = definition.surface
    if not surface.startswith("placement/") and surface not in _INTERLEAVED_SURFACES:
        yield f"answers of {surface} cannot be interleaved, only those of placements and of REST lists"
    if INTERLEAVED in {variant.name for variant in definition.variants}:
        yield f"{INTERLEAVED} is the name that interleaved answers have; name the variant otherwise"
    for metric in definition.metrics or ():
        if metric.per is not None or metric.margin is not None or metric.winsorize is not None:
            yield f"metric {metric.name}: preferences take no per, no margin and no winsorize"


def _of_shadow(definition: Definition) -> Iterator[str]:
    if not definition.surface.startswith("placement/"):
        yield f"only placements have shadows, not {definition.surface}"
    usual = definition.variants[0].model_dump(exclude={"name", "weight"}, exclude_none=True)
    if usual:
        yield "the first variant of a shadow is the usual answer: it has a name alone"
    if definition.metrics is not None:
        yield "nobody sees a shadow, so it takes no metrics"


_CHECKS: Final[Mapping[str, Callable[[Definition], Iterator[str]]]] = {
    "bandit": _of_bandit,
    "switchback": _of_switchback,
    "interleaving": _of_interleaving,
    "shadow": _of_shadow,
}
