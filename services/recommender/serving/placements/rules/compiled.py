"""The rules of a placement in the form that steps read: expressions are parsed, and stand for bits."""

from __future__ import annotations

from datetime import UTC, datetime
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import structlog

from services.recommender.serving.placements.rules.conditions import Conditions
from services.recommender.serving.query import BoundFilter
from shared.filters import FilterError, item_condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.recommender.serving.filtering import ItemFilters
    from services.recommender.serving.placements.rules.conditions import Bits
    from shared.events.placements import Boost, Hide, Pin, Placement, PromotionUse, Quota, Rules

MAX_COMPILED = 1_000
"""Placements whose rules are kept in this form. Arbitrary: a tenant has a handful."""

MAX_FACTORS = 1_024
"""Combinations of boosts whose factors are kept. Arbitrary: a placement has a handful of boosts."""

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

log = structlog.get_logger()


class Period(NamedTuple):
    """The time in which a rule applies: from `starts_at` until before `ends_at`, where they are set."""

    starts_at: datetime | None
    ends_at: datetime | None

    @classmethod
    def of(cls, rule: Boost | Hide | Pin | PromotionUse) -> Period:
        """Return the period of a rule."""
        return cls(rule.starts_at, rule.ends_at)

    def covers(self, now: datetime) -> bool:
        """Return whether the rule applies now."""
        return (self.starts_at is None or self.starts_at <= now) and (
            self.ends_at is None or now < self.ends_at
        )


class CompiledHide(NamedTuple):
    """Hidden items: by id, and those that match a bit."""

    period: Period
    item_ids: frozenset[str]
    bit: Bits


class CompiledBoost(NamedTuple):
    """The factor of the items that match a bit."""

    period: Period
    bit: Bits
    factor: float
    where: str


class CompiledPromotion(NamedTuple):
    """The share of the answer for the items that match a bit."""

    period: Period
    bit: Bits
    name: str
    percent: int


class CompiledPin(NamedTuple):
    """An item at a position, which counts from 1."""

    period: Period
    item_id: str
    position: int


class ActiveRules:
    """The rules of a placement that apply now, as steps read them; the same from `since` until `until`."""

    __slots__ = (
        "boosted_bits",
        "boosts",
        "factors",
        "hidden_bits",
        "hidden_ids",
        "hides",
        "pins",
        "promotions",
        "since",
        "until",
        "widest_factor",
    )

    def __init__(self, rules: CompiledRules, now: datetime) -> None:
        """Select the rules whose period covers `now`."""
        dated: tuple[CompiledHide | CompiledBoost | CompiledPromotion | CompiledPin, ...] = (
            *rules.hides,
            *rules.boosts,
            *rules.promotions,
            *rules.pins,
        )
        edges = [edge for rule in dated for edge in rule.period if edge is not None]
        self.since = max((edge for edge in edges if edge <= now), default=_FIRST)
        self.until = min((edge for edge in edges if edge > now), default=_LAST)
        self.hides = [hide for hide in rules.hides if hide.period.covers(now)]
        self.hidden_ids: frozenset[str] = frozenset().union(*(hide.item_ids for hide in self.hides))
        self.hidden_bits: Bits = 0
        for hide in self.hides:
            self.hidden_bits |= hide.bit
        self.boosts = [boost for boost in rules.boosts if boost.period.covers(now)]
        self.boosted_bits: Bits = 0
        for boost in self.boosts:
            self.boosted_bits |= boost.bit
        self.factors: dict[Bits, float] = {0: 1.0}
        factors = [boost.factor for boost in self.boosts]
        self.widest_factor = prod(max(factor, 1 / factor) for factor in factors)
        """The highest product of factors by the lowest one: the item at rank `widest_factor` × n or below is
        never among the first n, however the two match."""
        self.promotions = [promotion for promotion in rules.promotions if promotion.period.covers(now)]
        pins: dict[str, CompiledPin] = {}
        for pin in rules.pins:
            if pin.period.covers(now):
                pins.setdefault(pin.item_id, pin)
        self.pins = sorted(pins.values(), key=_position)

    def factor(self, bits: Bits) -> float:
        """Return the product of the factors of the boosts whose bit is in `bits`."""
        factor = self.factors.get(bits)
        if factor is None:
            factor = 1.0
            for boost in self.boosts:
                if bits & boost.bit:
                    factor *= boost.factor
            if len(self.factors) < MAX_FACTORS:
                self.factors[bits] = factor
        return factor


class CompiledRules:
    """The rules of one placement, with filters as they are now."""

    def __init__(self, placement: Placement, filters: Sequence[BoundFilter]) -> None:
        """Compile the rules; one whose expression is invalid is left out, which is logged."""
        self.placement = placement
        self.filters = tuple(filters)
        self._expressions: dict[str, Bits] = {}
        self._bound_filters = list(filters)
        self.filter_bits = tuple(
            (1 << number, use.name) for number, use in enumerate(placement.filters[: len(filters)])
        )
        self.required_bits: Bits = (1 << len(self.filter_bits)) - 1
        rules = placement.rules
        self.hides = tuple(self._hides(rules))
        self.boosts = tuple(self._boosts(rules))
        self.promotions = tuple(self._promotions(rules))
        self.pins = tuple(CompiledPin(Period.of(pin), pin.item_id, pin.position) for pin in rules.pins)
        self.caps = rules.caps
        self.quota_of, self.quota_of_others = _quotas(rules.quotas)
        self.conditions = Conditions(self._bound_filters, [cap.column for cap in rules.caps])
        self.ignore_history = any(bound_filter.overrides_history_rules for bound_filter in self.filters)
        """True if a filter selects items by the visitor's interactions, such as those bought before. Then
        purchased and viewed items are not left out for that alone."""
        self._active: ActiveRules | None = None

    def active(self, now: datetime) -> ActiveRules:
        """Return the rules that apply now; they are kept until a period begins or ends."""
        active = self._active
        if active is None or not active.since <= now < active.until:
            active = self._active = ActiveRules(self, now)
        return active

    def _hides(self, rules: Rules) -> Iterator[CompiledHide]:
        for hide in rules.hide:
            bit = 0 if hide.where is None else self._bit(hide.where)
            if bit or hide.item_ids:
                yield CompiledHide(Period.of(hide), frozenset(hide.item_ids), bit)

    def _boosts(self, rules: Rules) -> Iterator[CompiledBoost]:
        for boost in rules.boosts:
            if bit := self._bit(boost.where):
                yield CompiledBoost(Period.of(boost), bit, boost.factor, boost.where)

    def _promotions(self, rules: Rules) -> Iterator[CompiledPromotion]:
        for promotion in rules.promotions:
            if bit := self._bit(promotion.where):
                yield CompiledPromotion(Period.of(promotion), bit, promotion.name, promotion.percent)

    def _bit(self, expression: str) -> Bits:
        """Return the bit of an expression; equal expressions share one, and an invalid one has none."""
        bit = self._expressions.get(expression)
        if bit is None:
            try:
                condition = item_condition(expression)
                bound_filter = BoundFilter(condition, condition.bind({}), (expression,))
            except FilterError as error:
                log.warning("rules.invalid_expression", expression=expression, error=str(error))
                bit = 0
            else:
                bit = 1 << len(self._bound_filters)
                self._bound_filters.append(bound_filter)
            self._expressions[expression] = bit
        return bit


class RuleCompiler:
    """Compiles the rules of placements, and keeps the result until a placement or a filter changes."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, int], CompiledRules] = {}

    def known(self, tenant: str, placement: Placement, filters: ItemFilters) -> CompiledRules | None:
        """Return the compiled rules if the filters of the placement are still the same; else None."""
        compiled = self._compiled.get((tenant, id(placement)))
        if compiled is None or len(compiled.filters) != len(placement.filters):
            return None
        for use, bound_filter in zip(placement.filters, compiled.filters, strict=True):
            if filters.known(tenant, use.name) is not bound_filter.filter:
                return None
        return compiled

    def compile(self, tenant: str, placement: Placement, filters: Sequence[BoundFilter]) -> CompiledRules:
        """Return the compiled rules of a tenant's placement."""
        # The compiled rules hold the placement, so that no other one gets its identity.
        key = tenant, id(placement)
        compiled = self._compiled.get(key)
        if compiled is None or not _are_same(compiled.filters, filters):
            if len(self._compiled) >= MAX_COMPILED:
                self._compiled.clear()
            compiled = self._compiled[key] = CompiledRules(placement, filters)
        return compiled

    def forget(self, tenant: str, placement: Placement) -> None:
        """Forget the compiled rules of a tenant's placement."""
        self._compiled.pop((tenant, id(placement)), None)


def _are_same(before: Sequence[BoundFilter], now: Sequence[BoundFilter]) -> bool:
    return len(before) == len(now) and all(
        old.bound is new.bound for old, new in zip(before, now, strict=True)
    )


def _quotas(quotas: Sequence[Quota]) -> tuple[dict[str, int], int | None]:
    """Return the answers of a day by item, and those of every other item; None is no limit."""
    of_others = min((quota.per_day for quota in quotas if not quota.item_ids), default=None)
    of_items: dict[str, int] = {}
    for quota in quotas:
        for item_id in quota.item_ids:
            limits = (quota.per_day, of_others, of_items.get(item_id))
            of_items[item_id] = min(limit for limit in limits if limit is not None)
    return of_items, of_others


def _position(pin: CompiledPin) -> int:
    return pin.position
