"""The usual answer of a placement in one pass: the user's list without excluded items, filtered and arranged.

It gives the same answer as the general way, the strategies and steps of `engine` and `rules`, for a fifth
less CPU time (docs/speed.md); a property test compares the two. Whatever is not usual is left to the general
way: new events, a short list, other strategies, rules that count or depend on the request, explanations.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from services.recommender.domain.recipes import USER
from services.recommender.serving.placements.candidates import Candidate, Dropped, PlacementAnswer, Signal
from services.recommender.serving.placements.rules.boosts import BOOST, boosted_order
from services.recommender.serving.placements.rules.dropping import FILTER, HIDE
from services.recommender.serving.placements.rules.pins import PIN, effective_pins
from services.recommender.serving.placements.rules.run import drops, pool_size
from services.recommender.serving.placements.selection import excluded_items
from services.recommender.serving.placements.strategies.for_you import LIST_SIGNAL, ForYou, is_scored_live

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.serving.placements.placement_rules import PlacementRules
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.rules.compiled import (
        ActiveRules,
        CompiledPin,
        CompiledRules,
    )
    from services.recommender.serving.placements.rules.conditions import Bits
    from services.recommender.serving.placements.strategies import StrategyParts
    from services.recommender.store.list_batches import StoredList
    from services.recommender.store.placements import DefinedPlacement
    from shared.events.placements import Placement

MAX_PLACEMENTS = 1_000
"""Placements that are remembered as usual or not. Arbitrary: a tenant has a handful."""


class SinglePass:
    """Answers usual requests."""

    def __init__(self, parts: StrategyParts, rules: PlacementRules) -> None:
        self._parts = parts
        self._rules = rules
        self._usual: dict[int, tuple[Placement, bool]] = {}

    def answer(
        self, named: DefinedPlacement, request: PlacementRequest, visitor: Visitor
    ) -> PlacementAnswer | None:
        """Return the answer; None if the placement, the request or the visitor is not usual."""
        placement = named.placement
        stored = self._stored_list(request, visitor)
        if stored is None or not self._is_usual(placement):
            return None
        if not self._rules.apply_to(placement):
            return self._without_rules(named, request, visitor, stored)
        sources = self._rules.sources_of(request.tenant)
        compiled = sources.compiler.known(request.tenant, placement, sources.item_filters)
        if compiled is None or compiled.conditions.depend_on_request:
            return None
        return self._with_rules(named, request, visitor, stored, compiled)

    def _stored_list(self, request: PlacementRequest, visitor: Visitor) -> StoredList | None:
        """Return the user's list if it is there, and neither new events nor overrides change it."""
        user_id, tenant = request.user_id, request.tenant
        if user_id is None or not visitor.model_user_id or request.explain or request.is_trial:
            return None
        stored = visitor.lists.get((USER, user_id))
        if stored is None or not stored.items or self._parts.overrides.has_any(tenant):
            return None
        deployed = self._parts.campaigns.newest(tenant, USER)
        if deployed is not None and is_scored_live(visitor, deployed, has_list=True):
            return None
        return stored

    def _is_usual(self, placement: Placement) -> bool:
        """Return whether the user's list comes first, and no rule needs more than the list and the items."""
        known = self._usual.get(id(placement))
        if known is not None:
            return known[1]
        rules, first = placement.rules, placement.strategies[0]
        counts = rules.caps or rules.promotions or rules.quotas or rules.fatigue is not None
        is_usual = (
            first.strategy == ForYou.name
            and first.limit is None
            and not placement.only_category
            and not counts
        )
        if len(self._usual) >= MAX_PLACEMENTS:
            self._usual.clear()
        # It holds the placement, so that no other one gets its identity.
        self._usual[id(placement)] = placement, is_usual
        return is_usual

    def _without_rules(
        self, named: DefinedPlacement, request: PlacementRequest, visitor: Visitor, stored: StoredList
    ) -> PlacementAnswer | None:
        limit = request.limit or named.placement.limit
        excluded = excluded_items(named.placement, request, visitor)
        catalogue, dropped = self._parts.catalogues.of(request.tenant), list[Dropped]()
        chosen = catalogue.visible_scores(stored.items, (), limit + len(excluded))
        if excluded:
            chosen = _left(chosen, excluded, dropped)
        chosen = chosen[:limit]
        if _is_short(chosen, limit):
            return None
        return _answer(named, request, visitor, stored, _candidates(chosen), dropped)

    def _with_rules(
        self,
        named: DefinedPlacement,
        request: PlacementRequest,
        visitor: Visitor,
        stored: StoredList,
        compiled: CompiledRules,
    ) -> PlacementAnswer | None:
        placement, active = named.placement, compiled.active(datetime.now(UTC))
        limit = request.limit or placement.limit
        pool = pool_size(placement.rules, active, limit)
        excluded = excluded_items(placement, request, visitor, ignore_history=compiled.ignore_history)
        sources, dropped = self._rules.sources_of(request.tenant), list[Dropped]()
        chosen = sources.catalogue.visible_scores(stored.items, (), pool + len(excluded) + pool // 8)
        if excluded:
            chosen = _left(chosen, excluded, dropped)
        matches: Mapping[str, Bits] = {}
        if compiled.conditions.read_items:
            item_ids = [item_id for item_id, _ in chosen]
            item_ids += [pin.item_id for pin in active.pins]
            matches = compiled.conditions.matches(item_ids, sources)
        left_out: dict[str, int] = {}
        chosen = _admitted(chosen, compiled, active, matches, left_out)[:pool]
        if _is_short(chosen, pool):
            return None
        effects = dict.fromkeys(left_out)
        for step, count in left_out.items():
            drops(step).inc(count)
        order = boosted_order([matches[item_id] for item_id, _ in chosen], active) if active.boosts else None
        if order is not None:
            effects[BOOST] = None
            chosen = [chosen[place] for place in order]
        pins = effective_pins(active, limit, request.shown, sources.catalogue, matches)
        if pins:
            effects[PIN] = None
            pinned_ids = {pin.item_id for pin in pins}
            dropped = [drop for drop in dropped if drop.item_id not in pinned_ids]
            items = _pinned(chosen, pins, limit)
        else:
            items = _candidates(chosen[:limit])
        answer = _answer(named, request, visitor, stored, items, dropped)
        answer.facts["rules"] = tuple(effects)
        return answer


def _is_short(chosen: ItemScores, count: int) -> bool:
    """Return whether there are too few different items: other strategies follow, or popular items."""
    return len({item_id for item_id, _ in chosen}) < count


def _left(chosen: ItemScores, excluded: Mapping[str, str], dropped: list[Dropped]) -> ItemScores:
    """Return the items that are not excluded; add the others to `dropped`."""
    left: ItemScores = []
    steps: dict[str, str] = {}
    for entry in chosen:
        step = excluded.get(entry[0])
        if step is None:
            left.append(entry)
        else:
            steps[entry[0]] = step
    dropped += [Dropped(item_id, ForYou.name, step) for item_id, step in steps.items()]
    return left


def _admitted(
    chosen: ItemScores,
    compiled: CompiledRules,
    active: ActiveRules,
    matches: Mapping[str, Bits],
    left_out: dict[str, int],
) -> ItemScores:
    """Return the items that filters and hides admit; count the others in `left_out`, by step."""
    required, hidden_bits, hidden_ids = compiled.required_bits, active.hidden_bits, active.hidden_ids
    admitted = chosen
    if required:
        admitted = [entry for entry in chosen if matches[entry[0]] & required == required]
        if len(admitted) < len(chosen):
            left_out[FILTER] = len(chosen) - len(admitted)
    shown = admitted
    if hidden_bits:
        shown = [entry for entry in shown if not matches[entry[0]] & hidden_bits]
    if hidden_ids:
        shown = [entry for entry in shown if entry[0] not in hidden_ids]
    if len(shown) < len(admitted):
        left_out[HIDE] = len(admitted) - len(shown)
    return shown


def _candidates(chosen: ItemScores) -> list[Candidate]:
    name = ForYou.name
    return [Candidate(item_id, name, score, [LIST_SIGNAL], USER) for item_id, score in chosen]


def _pinned(chosen: ItemScores, pins: list[CompiledPin], limit: int) -> list[Candidate]:
    """Return the first `limit` items with the pinned ones at their positions."""
    pinned_ids = {pin.item_id for pin in pins}
    by_id = {entry[0]: entry for entry in chosen if entry[0] in pinned_ids}
    unpinned = [entry for entry in chosen if entry[0] not in pinned_ids] if by_id else chosen
    items = _candidates(unpinned[:limit])
    for pin in pins:
        entry = by_id.get(pin.item_id)
        candidate = Candidate(pin.item_id, PIN) if entry is None else _candidates([entry])[0]
        candidate.signals.append(Signal("pinned"))
        items.insert(pin.position - 1, candidate)
    return items[:limit]


def _answer(
    named: DefinedPlacement,
    request: PlacementRequest,
    visitor: Visitor,
    stored: StoredList,
    items: list[Candidate],
    dropped: list[Dropped],
) -> PlacementAnswer:
    profile = visitor.profile
    return PlacementAnswer(
        request,
        named.placement,
        named.revision,
        items,
        dropped,
        stored.source,
        stored.generation,
        None,
        profile.event_count,
        profile.newest_seconds,
    )
