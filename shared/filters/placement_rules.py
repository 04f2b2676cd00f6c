"""Check the rules of a placement: expressions, periods, and rules that could never apply.

The engine refuses what `placement_problems` reports; the recommender parses expressions by `item_condition`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from shared.events.placements import Hide
from shared.filters.errors import FilterError
from shared.filters.filter import Filter
from shared.filters.syntax import key_of

if TYPE_CHECKING:
    from shared.events.placements import Boost, Placement, PromotionUse, Rules

Rule = TypeVar("Rule")

_STORED_FIELDS = frozenset({"eventtype", "itemid"})


def item_condition(expression: str) -> Filter:
    """Return the filter of a rule's `where`: it selects items, and has no parameters.

    Raise FilterError, with the place for a wrong expression.
    """
    condition = Filter.parse(expression)
    if condition.selects != "item":
        raise FilterError("A rule selects items: write ItemID, not UserID.")
    if condition.parameters:
        names = ", ".join(f"${name}" for name in sorted(condition.parameters))
        raise FilterError(f"A rule has no values for parameters; write values instead of {names}.")
    for dataset, field in sorted(condition.fields):
        if dataset == "INTERACTIONS" and key_of(field) not in _STORED_FIELDS:
            raise FilterError(
                f"Interactions.{field} can't be used in a rule: of interactions it can use EVENT_TYPE and "
                "ITEM_ID."
            )
    return condition


def placement_problems(placement: Placement) -> list[str]:
    """Return one sentence for each invalid rule of a placement, which begins with the rule's path."""
    rules = placement.rules
    return [*_expression_problems(rules), *_period_problems(rules), *_contradictions(rules)]


def _expression_problems(rules: Rules) -> Iterator[str]:
    for path, rule in _selecting(rules):
        if rule.where is not None:
            try:
                item_condition(rule.where)
            except FilterError as error:
                yield f"{path}.where: {error}"
        elif isinstance(rule, Hide) and not rule.item_ids:
            yield f"{path}: name the items to hide by item_ids, by where, or by both."


def _period_problems(rules: Rules) -> Iterator[str]:
    for path, rule in (*_selecting(rules), *_numbered("pins", rules.pins)):
        if rule.starts_at is not None and rule.ends_at is not None and rule.starts_at >= rule.ends_at:
            yield f"{path}: ends_at must be later than starts_at."


def _contradictions(rules: Rules) -> Iterator[str]:
    columns: set[str] = set()
    for path, cap in _numbered("caps", rules.caps):
        if key_of(cap.column) in columns:
            yield f"{path}: another cap is for the column {cap.column}; keep one of them."
        columns.add(key_of(cap.column))
    names: set[str] = set()
    for path, promotion in _numbered("promotions", rules.promotions):
        if promotion.name in names:
            yield f"{path}: another promotion has the name {promotion.name!r}; choose another name."
        names.add(promotion.name)


def _selecting(rules: Rules) -> Iterator[tuple[str, Hide | Boost | PromotionUse]]:
    yield from _numbered("hide", rules.hide)
    yield from _numbered("boosts", rules.boosts)
    yield from _numbered("promotions", rules.promotions)


def _numbered(name: str, rules: tuple[Rule, ...]) -> Iterator[tuple[str, Rule]]:
    for index, rule in enumerate(rules):
        yield f"rules.{name}[{index}]", rule
