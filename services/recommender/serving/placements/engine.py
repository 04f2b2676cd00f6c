"""One answer of a placement: the visitor, the strategies in order, popular items that fill it up, the rules.

See docs/placements.md.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from services.recommender.domain.catalogue_index import CATEGORY, categories_of
from services.recommender.serving.placements.candidates import Candidate, PlacementAnswer, Proposal
from services.recommender.serving.placements.interleaving import interleaved
from services.recommender.serving.placements.selection import MAX_CANDIDATES, Selection, excluded_items
from services.recommender.serving.placements.strategies.parts import NOTHING
from services.recommender.serving.placements.variants import Choice
from services.recommender.serving.recommendation import POPULAR
from services.recommender.store.placements import DefinedPlacement
from services.recommender.store.profiles import Profile
from shared.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from services.recommender.serving.placements.candidates import Strategy
    from services.recommender.serving.placements.placement_rules import PlacementRules
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.rules import RuleRun
    from services.recommender.serving.placements.selection import Admits
    from services.recommender.serving.placements.single_pass import SinglePass
    from services.recommender.serving.placements.strategies import Popular
    from services.recommender.serving.placements.variants import PlacementVariants
    from services.recommender.serving.placements.visitor import Visitors
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.list_batches import ListKey
    from services.recommender.store.placements import Placements
    from shared.events.placements import Placement


class PlacementEngine:
    """Answers requests for placements; an unavailable store makes an answer less personal, never an error."""

    def __init__(
        self,
        placements: Placements,
        strategies: Mapping[str, Strategy],
        popular: Popular,
        visitors: Visitors,
        catalogues: Catalogues,
        rules: PlacementRules,
        single_pass: SinglePass,
        variants: PlacementVariants,
    ) -> None:
        self._placements = placements
        self._variants = variants
        self._strategies = strategies
        self._popular = popular
        self._visitors = visitors
        self._catalogues = catalogues
        self._rules = rules
        self._single_pass = single_pass

    async def answer(self, request: PlacementRequest, placement: Placement | None = None) -> PlacementAnswer:
        """Return the items of a placement for a visitor.

        `placement` is a definition to try out; without it the tenant's placement of the requested name
        answers, or the default one. Raise ApiError (404) for an unknown name.
        """
        if placement is None:
            choice = await self._choose(request)
        else:
            choice = Choice(DefinedPlacement(request.placement, placement))
        began = time.perf_counter()
        visitor = await self._visitors.of(request, self._list_keys(choice.placements, request))
        return await self._by_choice(choice, request, visitor, began)

    async def page(self, requests: Sequence[PlacementRequest]) -> list[PlacementAnswer]:
        """Return the items of several placements for one visitor, in order; no item is in two of them.

        Raise ApiError (404) for an unknown name.
        """
        chosen = [await self._choose(request) for request in requests]
        lists = [
            key
            for choice, request in zip(chosen, requests, strict=True)
            for key in self._list_keys(choice.placements, request)
        ]
        visitor = await self._visitors.of(requests[0], lists)
        answers: list[PlacementAnswer] = []
        shown = requests[0].shown
        for choice, request in zip(chosen, requests, strict=True):
            began = time.perf_counter()
            answer = await self._by_choice(choice, replace(request, shown=shown), visitor, began)
            shown |= {item.item_id for item in answer.items}
            answers.append(answer)
        return answers

    async def compare(
        self, request: PlacementRequest, changed: Placement
    ) -> tuple[PlacementAnswer | None, PlacementAnswer]:
        """Return the answers of a placement as it is, and of a changed definition, to the same visitor.

        The first is None if there is no placement of that name. Nothing is counted.
        """
        trial = replace(request, explain=True, is_trial=True)
        current = await self._placements.find(request.tenant, request.placement)
        new = DefinedPlacement(request.placement, changed)
        visitor = await self._visitors.of(trial, self._list_keys([current or new, new], trial))
        before = None if current is None else await self._answer(current, trial, visitor)
        return before, await self._answer(new, trial, visitor)

    async def trial(self, named: DefinedPlacement, request: PlacementRequest) -> PlacementAnswer:
        """Return the answer of a definition to a request. Nothing is counted."""
        trial = replace(request, is_trial=True, explain=False)
        visitor = await self._visitors.of(trial, self._list_keys([named], trial))
        return await self._answer(named, trial, visitor)

    async def replay(
        self, request: PlacementRequest, placements: Sequence[DefinedPlacement], seconds: float
    ) -> list[PlacementAnswer]:
        """Return the answers of definitions to a request of an earlier time, by the events up to it.

        Nothing is counted.
        """
        trial = replace(request, is_trial=True)
        visitor = await self._visitors.of(trial, self._list_keys(placements, trial))
        later = [event for event in visitor.profile.history if event[2] > seconds]
        history = [event for event in visitor.profile.history if event[2] <= seconds]
        bought = {item for item, kind, _ in later if kind == "purchase"}
        bought -= {item for item, kind, _ in history if kind == "purchase"}
        visitor.profile = Profile(history, visitor.profile.purchased - bought)
        return [await self._answer(named, trial, visitor) for named in placements]

    def forget(self, tenant: str, placement: Placement) -> None:
        """Forget what was prepared for a definition that is not used any more."""
        self._rules.forget(tenant, placement)

    async def _by_choice(
        self, choice: Choice, request: PlacementRequest, visitor: Visitor, began: float
    ) -> PlacementAnswer:
        """Return the answer of a choice; `began` is when it was asked for, by `time.perf_counter`."""
        if choice.all_variants and choice.assignment is not None:
            answers = [await self._answer(each.named, request, visitor) for each in choice.all_variants]
            answer = interleaved(choice.all_variants, answers, request, choice.assignment)
        else:
            answer = await self._answer(choice.named, request, visitor)
            answer.assignment, answer.shadows = choice.assignment, choice.shadows
        answer.seconds = time.perf_counter() - began
        return answer

    async def _answer(
        self, named: DefinedPlacement, request: PlacementRequest, visitor: Visitor
    ) -> PlacementAnswer:
        usual = self._single_pass.answer(named, request, visitor)
        if usual is not None:
            return usual
        placement = named.placement
        run = await self._rules.begin(placement, request, visitor)
        selection = Selection(
            (request.limit or placement.limit) if run is None else run.pool,
            excluded_items(
                placement, request, visitor, ignore_history=run is not None and run.compiled.ignore_history
            ),
            self._category_rule(placement, request),
        )
        origin = await self._select(placement, request, visitor, selection, run)
        items, dropped = selection.items, list(selection.dropped.values())
        answer = PlacementAnswer(
            request,
            placement,
            named.revision,
            items,
            dropped,
            origin.source or POPULAR,
            origin.generation,
            origin.model_sha256,
            visitor.profile.event_count,
            visitor.profile.newest_seconds,
        )
        if run is not None:
            result = run.result(run.arranged(items))
            answer.items = result.items
            unpinned = [drop for drop in dropped if drop.item_id not in run.pinned_ids]
            answer.dropped = [*unpinned, *result.dropped]
            answer.facts["rules"] = result.applied
            run.count_answer(answer.items)
        return answer

    async def _choose(self, request: PlacementRequest) -> Choice:
        """Return a placement as the visitor's variant defines it; raise ApiError (404) if there is none."""
        named = await self._find(request.tenant, request.placement)
        return await self._variants.choose(named, request)

    async def _find(self, tenant: str, name: str) -> DefinedPlacement:
        named = await self._placements.find(tenant, name)
        if named is None:
            known = ", ".join(self._placements.names(tenant))
            detail = f"There is no placement {name!r} here; there are: {known}."
            raise ApiError(404, "UnknownPlacement", detail)
        return named

    def _list_keys(self, placements: Sequence[DefinedPlacement], request: PlacementRequest) -> list[ListKey]:
        keys: list[ListKey] = []
        for named in placements:
            for use in named.placement.strategies:
                keys += self._strategies[use.strategy].list_keys(use, request)
        return keys

    async def _select(
        self,
        placement: Placement,
        request: PlacementRequest,
        visitor: Visitor,
        selection: Selection,
        run: RuleRun | None,
    ) -> Proposal:
        """Select items of the strategies in order, then popular ones; return the proposal of the first."""
        origin = Proposal()
        for use in placement.strategies:
            missing = selection.missing
            if not missing:
                break
            limit = missing if use.limit is None else min(use.limit, missing)
            propose = partial(self._strategies[use.strategy].propose, use, request, visitor)
            repeats = self._strategies[use.strategy].repeats
            was_empty = not selection.items
            proposal = await _fill(selection, propose, limit, run, repeats)
            origin = proposal if was_empty and selection.items else origin
        rules = placement.rules
        if not rules.caps and not rules.promotions:
            # Boosts choose among more items than an answer has, but only a short answer is filled up.
            selection.limit_to(request.limit or placement.limit)
        if placement.fill_up and selection.missing > 0:
            propose = partial(self._popular.chain, self._popular.name, request, visitor)
            popular = await _fill(selection, propose, selection.missing, run)
            origin = origin if origin.source else popular
            if selection.missing and selection.items:
                await self._fill_up_with_any(request.tenant, selection, run)
        return origin

    async def _fill_up_with_any(self, tenant: str, selection: Selection, run: RuleRun | None) -> None:
        """Select any items that are for sale."""
        catalogue, name = self._catalogues.of(tenant), self._popular.name

        async def propose(count: int) -> Proposal:
            return Proposal(
                [Candidate(item_id, name) for item_id in catalogue.any_items(selection.unavailable, count)]
            )

        await _fill(selection, propose, selection.missing, run)

    def _category_rule(self, placement: Placement, request: PlacementRequest) -> Admits | None:
        category = self._popular.category(request) if placement.only_category else None
        if category is None:
            return None
        catalogue, folded = self._catalogues.of(request.tenant), category.strip().casefold()
        return lambda item_id: folded in categories_of(catalogue.property_value(item_id, CATEGORY))


async def _fill(
    selection: Selection,
    propose: Callable[[int], Awaitable[Proposal]],
    limit: int,
    run: RuleRun | None,
    repeats: Collection[str] = NOTHING,
) -> Proposal:
    """Select up to `limit` of the proposed items that no rule leaves out; return the proposal.

    If rules leave out too many of a full proposal, a larger one is requested once.
    """
    # Some more, because rules may leave out a few: a second proposal takes longer.
    count = selection.needed(limit) + (0 if run is None else limit // 8)
    proposal = await propose(count)
    eligible = selection.eligible(proposal.candidates, repeats)
    if run is None:
        selection.take(eligible, limit)
        return proposal
    taken = selection.take(await run.admitted(eligible), limit)
    if taken < limit and len(proposal.candidates) >= count and count < MAX_CANDIDATES:
        proposal = await propose(MAX_CANDIDATES)
        rest = selection.eligible(proposal.candidates[count:], repeats)
        selection.take(await run.admitted(rest), limit - taken)
    return proposal
