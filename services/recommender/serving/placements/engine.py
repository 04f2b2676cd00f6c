"""One answer of a placement: the visitor, the strategies in order, and popular items that fill it up.

See docs/placements.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.recommender.domain.catalogue_index import CATEGORY, categories_of
from services.recommender.serving.placements.candidates import Candidate, PlacementAnswer, Proposal
from services.recommender.serving.placements.selection import Selection, excluded_items
from services.recommender.serving.recommendation import POPULAR
from services.recommender.store.placements import DefinedPlacement
from shared.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from services.recommender.serving.placements.candidates import Strategy
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.selection import Admits
    from services.recommender.serving.placements.strategies import Popular
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
    ) -> None:
        self._placements = placements
        self._strategies = strategies
        self._popular = popular
        self._visitors = visitors
        self._catalogues = catalogues

    async def answer(self, request: PlacementRequest, placement: Placement | None = None) -> PlacementAnswer:
        """Return the items of a placement for a visitor.

        `placement` is a definition to try out; without it the tenant's placement of the requested name
        answers, or the default one. Raise ApiError (404) for an unknown name.
        """
        if placement is None:
            named = await self._find(request.tenant, request.placement)
        else:
            named = DefinedPlacement(request.placement, placement)
        visitor = await self._visitors.of(request, self._list_keys([named], request))
        return await self._answer(named, request, visitor)

    async def page(self, request: PlacementRequest, names: Sequence[str]) -> list[PlacementAnswer]:
        """Return the items of several placements for one visitor, in order; no item is in two of them.

        Raise ApiError (404) for an unknown name.
        """
        placements = [await self._find(request.tenant, name) for name in names]
        visitor = await self._visitors.of(request, self._list_keys(placements, request))
        answers: list[PlacementAnswer] = []
        shown = request.shown
        for named in placements:
            part = replace(request, placement=named.name, shown=shown)
            answer = await self._answer(named, part, visitor)
            shown |= {item.item_id for item in answer.items}
            answers.append(answer)
        return answers

    async def _answer(
        self, named: DefinedPlacement, request: PlacementRequest, visitor: Visitor
    ) -> PlacementAnswer:
        placement = named.placement
        selection = Selection(
            request.limit or placement.limit,
            excluded_items(placement, request, visitor),
            self._category_rule(placement, request),
        )
        origin = await self._select(placement, request, visitor, selection)
        return PlacementAnswer(
            request,
            placement,
            named.revision,
            selection.items,
            list(selection.dropped.values()),
            origin.source or POPULAR,
            origin.generation,
            origin.model_sha256,
            visitor.profile.event_count,
            visitor.profile.newest_seconds,
        )

    async def _find(self, tenant: str, name: str) -> DefinedPlacement:
        named = await self._placements.find(tenant, name)
        if named is None:
            known = ", ".join(self._placements.names(tenant))
            detail = f"There is no placement {name!r} here; there are: {known}."
            raise ApiError(404, "UnknownPlacement", detail)
        return named

    def _list_keys(
        self, placements: Sequence[DefinedPlacement], request: PlacementRequest
    ) -> Iterator[ListKey]:
        for named in placements:
            for use in named.placement.strategies:
                yield from self._strategies[use.strategy].list_keys(use, request)

    async def _select(
        self, placement: Placement, request: PlacementRequest, visitor: Visitor, selection: Selection
    ) -> Proposal:
        """Select items of the strategies in order, then popular ones; return the proposal of the first."""
        origin = Proposal()
        for use in placement.strategies:
            missing = selection.missing
            if not missing:
                break
            limit = missing if use.limit is None else min(use.limit, missing)
            strategy = self._strategies[use.strategy]
            proposal = await strategy.propose(use, request, visitor, selection.needed(limit))
            if proposal.candidates:
                was_empty = not selection.items
                selection.add(proposal.candidates, limit, strategy.repeats)
                origin = proposal if was_empty and selection.items else origin
        if placement.fill_up and selection.missing:
            popular = await self._fill_up(request, visitor, selection)
            origin = origin if origin.source else popular
        return origin

    async def _fill_up(self, request: PlacementRequest, visitor: Visitor, selection: Selection) -> Proposal:
        """Select popular items, then any that are for sale unless there is nothing at all to recommend."""
        name = self._popular.name
        proposal = await self._popular.chain(name, request, visitor, selection.needed(selection.missing))
        selection.add(proposal.candidates, selection.missing)
        if selection.missing and selection.items:
            catalogue = self._catalogues.of(request.tenant)
            item_ids = catalogue.any_items(selection.unavailable, selection.needed(selection.missing))
            selection.add([Candidate(item_id, name) for item_id in item_ids], selection.missing)
        return proposal

    def _category_rule(self, placement: Placement, request: PlacementRequest) -> Admits | None:
        category = self._popular.category(request) if placement.only_category else None
        if category is None:
            return None
        catalogue, folded = self._catalogues.of(request.tenant), category.strip().casefold()
        return lambda item_id: folded in categories_of(catalogue.property_value(item_id, CATEGORY))
