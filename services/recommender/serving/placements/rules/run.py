"""One application of a placement's rules to the candidates of a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from services.recommender.metrics import RULE_DROPS, RULE_PROBLEMS
from services.recommender.serving.placements.candidates import Dropped
from services.recommender.serving.placements.rules.boosts import boosted
from services.recommender.serving.placements.rules.caps import capped
from services.recommender.serving.placements.rules.dropping import DROPPING_STEPS
from services.recommender.serving.placements.rules.pins import effective_pins, pinned
from services.recommender.serving.placements.rules.promotions import promoted
from services.recommender.serving.query import RequestContext
from shared.aws import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from prometheus_client import Counter

    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.rules.compiled import (
        ActiveRules,
        CompiledPin,
        CompiledRules,
    )
    from services.recommender.serving.placements.rules.conditions import Bits
    from services.recommender.serving.placements.rules.sources import RuleSources
    from services.recommender.serving.query import BoundFilter
    from shared.events.placements import Placement, Rules

LIMIT = "limit"
POOL_FACTOR, POOL_EXTRA, MAX_POOL = 3, 20, 200
"""Candidates that boosts, caps and promotions choose among. Arbitrary: a list has some hundred."""

_ARRANGING_STEPS = (boosted, capped, promoted, pinned)


@cache
def drops(step: str) -> Counter:
    """Return the counter of the candidates that a step leaves out."""
    return RULE_DROPS.labels(step)


def pool_size(rules: Rules, active: ActiveRules, limit: int, *, explain: bool = False) -> int:
    """Return the number of candidates to collect: more than `limit` if rules choose among them.

    Boosts alone need no candidate that they can't lift into the answer, unless an explanation names it.
    """
    if not (rules.boosts or rules.caps or rules.promotions):
        return limit
    pool = min(POOL_FACTOR * limit + POOL_EXTRA, MAX_POOL)
    if rules.caps or rules.promotions or explain:
        return pool
    reach = limit * active.widest_factor + 1  # one more: the factors are rounded
    return pool if reach >= pool else ceil(reach)


class RuleResult(NamedTuple):
    """The items of an answer in order, the candidates that were left out, and the steps that had an effect.

    `dropped` is only filled if the request asks for explanations. `applied` leaves out the limit.
    """

    items: list[Candidate]
    dropped: list[Dropped]
    applied: tuple[str, ...]


async def apply_rules(
    placement: Placement,
    request: PlacementRequest,
    visitor: Visitor,
    candidates: Sequence[Candidate],
    sources: RuleSources,
    now: datetime,
) -> RuleResult:
    """Return the answer that the rules make of the candidates, which are different items, best first."""
    run = await RuleRun.begin(placement, request, visitor, sources, now)
    return run.result(run.arranged(await run.admitted(candidates)))


@dataclass(slots=True)
class RuleRun:
    """The rules of a placement during one request: what the steps read, and the effects that they note.

    `admitted` may be called for the proposal of each strategy in turn, `arranged` for all of them together.
    """

    compiled: CompiledRules
    request: PlacementRequest
    visitor: Visitor
    sources: RuleSources
    limit: int
    now: datetime
    active: ActiveRules
    filter_problem: str | None = None
    answers_today: Mapping[str, int] = field(default_factory=dict)
    impressions: Mapping[str, int] = field(default_factory=dict)
    matches: dict[str, Bits] = field(default_factory=dict)
    pins: list[CompiledPin] = field(default_factory=list)
    pinned_ids: frozenset[str] = frozenset()
    dropped: list[Dropped] = field(default_factory=list)
    effects: dict[str, None] = field(default_factory=dict)

    @classmethod
    async def begin(
        cls,
        placement: Placement,
        request: PlacementRequest,
        visitor: Visitor,
        sources: RuleSources,
        now: datetime,
    ) -> RuleRun:
        """Return the rules as they apply to this request."""
        compiled, problem = sources.compiler.known(request.tenant, placement, sources.item_filters), None
        if compiled is None:
            filters, problem = await _bound_filters(placement, request.tenant, sources)
            compiled = sources.compiler.compile(request.tenant, placement, filters)
        active, limit = compiled.active(now), request.limit or placement.limit
        run = cls(compiled, request, visitor, sources, limit, now, active, problem)
        if placement.rules.quotas:
            run.answers_today = await sources.quotas.of(request.tenant, request.placement, now)
        if placement.rules.fatigue is not None and sources.impressions is not None:
            subjects = {name for name in (request.user_id, request.session_id) if name is not None}
            days = placement.rules.fatigue.days
            run.impressions = await sources.impressions.of(request.tenant, subjects, days, now)
        if active.pins:
            await run.match([pin.item_id for pin in active.pins])
            run.pins = effective_pins(active, limit, request.shown, sources.catalogue, run.matches)
            run.pinned_ids = frozenset(pin.item_id for pin in run.pins)
        return run

    @property
    def placement(self) -> Placement:
        """Return the placement."""
        return self.compiled.placement

    @property
    def pool(self) -> int:
        """Return the number of candidates to collect."""
        return pool_size(self.placement.rules, self.active, self.limit, explain=self.request.explain)

    async def match(self, item_ids: Sequence[str]) -> None:
        """Find out which expressions the items match."""
        conditions = self.compiled.conditions
        if not conditions.read_items:
            return
        matches = conditions.matches(item_ids, self.sources)
        if conditions.depend_on_request:
            matches = {item_id: matches[item_id] for item_id in item_ids}
            request, visitor = self.request, self.visitor
            context = RequestContext(
                request.tenant,
                request.user_id,
                request.item_id,
                visitor.profile,
                model_user_id=visitor.model_user_id,
            )
            await conditions.add_matches_of_request(matches, context, self.sources)
        if not self.matches or self.matches is matches:
            self.matches = matches
        else:
            self.matches = self.matches | matches

    async def admitted(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates that no filter, hide, fatigue or quota leaves out, in their order."""
        item_ids = [candidate.item_id for candidate in candidates]
        await self.match(item_ids)
        admitted = list(candidates)
        if self._admits_all(item_ids):
            return admitted
        for step in DROPPING_STEPS:
            admitted = step(self, admitted)
        return admitted

    def _admits_all(self, item_ids: list[str]) -> bool:
        """Return whether filters and hides admit all items, and nothing else leaves items out.

        That is the usual case, and takes a third of the time of the steps.
        """
        if self.filter_problem is not None or self.impressions or self.answers_today:
            return False
        active, matches = self.active, self.matches
        hidden_ids, required = active.hidden_ids, self.compiled.required_bits
        read = required | active.hidden_bits
        if read and any(bits & read != required for bits in {matches[item_id] for item_id in item_ids}):
            return False
        return not hidden_ids or hidden_ids.isdisjoint(item_ids)

    def arranged(self, candidates: list[Candidate]) -> list[Candidate]:
        """Return the items of the answer: boosted, capped, promoted and pinned ones, at most `limit`."""
        for step in _ARRANGING_STEPS:
            candidates = step(self, candidates)
        return self.kept(LIMIT, candidates, candidates[: self.limit])

    def result(self, items: list[Candidate]) -> RuleResult:
        """Return the answer with what the steps noted."""
        self.effects.pop(LIMIT, None)
        dropped = self.dropped
        if dropped and self.pins:
            item_ids = {candidate.item_id for candidate in items}
            dropped = [drop for drop in dropped if drop.item_id not in item_ids]
        return RuleResult(items, dropped, tuple(self.effects))

    def count_answer(self, items: Iterable[Candidate]) -> None:
        """Count the answer that the visitor gets for the quotas of its items."""
        of_items, of_others = self.compiled.quota_of, self.compiled.quota_of_others
        if self.request.is_trial or not self.placement.rules.quotas:
            return
        item_ids = [each.item_id for each in items if of_others is not None or each.item_id in of_items]
        self.sources.quotas.count(self.request.tenant, self.request.placement, item_ids, self.now)

    def kept(
        self,
        step: str,
        before: list[Candidate],
        kept: list[Candidate],
        detail: Callable[[Candidate], str | None] | None = None,
    ) -> list[Candidate]:
        """Note what a step left out, and return the rest; `detail` says why a candidate was left out."""
        if len(kept) < len(before):
            self.effects[step] = None
            if step != LIMIT and not self.request.is_trial:
                drops(step).inc(len(before) - len(kept))
            if self.request.explain:
                kept_ids = {candidate.item_id for candidate in kept}
                self.dropped += [
                    Dropped(each.item_id, each.strategy, step, None if detail is None else detail(each))
                    for each in before
                    if each.item_id not in kept_ids
                ]
        return kept

    def note(self, step: str) -> None:
        """Note that a step moved or added items."""
        self.effects[step] = None


async def _bound_filters(
    placement: Placement, tenant: str, sources: RuleSources
) -> tuple[list[BoundFilter], str | None]:
    """Return the filters of the placement with their values, or why one of them can't be applied.

    A filter says what may be shown, so without it nothing is known to be allowed.
    """
    filters = []
    for use in placement.filters:
        try:
            filters.append(await sources.item_filters.bind_name(tenant, use.name, use.values))
        except WireError as error:
            RULE_PROBLEMS.labels("filter").inc()
            return [], f"{use.name}: {error}"
    return filters, None
