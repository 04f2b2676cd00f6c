"""Interleaved answers of a placement: items that several definitions of it propose, picked in turns.

See docs/experiments.md.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from services.recommender.serving.placements.candidates import PlacementAnswer
from services.recommender.serving.team_draft import draft_seed, team_draft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.serving.assignments import Assignment
    from services.recommender.serving.placements.request import PlacementRequest
    from services.recommender.store.placements import DefinedPlacement


class VariantPlacement(NamedTuple):
    """A variant of an experiment, and the placement as it defines it."""

    name: str
    named: DefinedPlacement


def interleaved(
    variants: Sequence[VariantPlacement],
    answers: Sequence[PlacementAnswer],
    request: PlacementRequest,
    assignment: Assignment,
) -> PlacementAnswer:
    """Return an answer with items of the answers of all variants, and the variant that picked each of them.

    What is not of an item, such as the source, is that of the first variant's answer.
    """
    first = answers[0]
    request_key = f"{request.placement}\0{request.item_id}\0{','.join(request.cart)}\0{request.category}"
    seed = draft_seed(assignment.experiment.salt, assignment.unit, request_key, time.time())
    limit = request.limit or max(each.named.placement.limit for each in variants)
    picks = team_draft([[item.item_id for item in answer.items] for answer in answers], limit, seed)
    return PlacementAnswer(
        request,
        first.placement,
        first.revision,
        [answers[pick.variant].items[pick.place] for pick in picks],
        first.dropped,
        first.source,
        first.generation,
        first.model_sha256,
        first.history_events,
        first.newest_event_seconds,
        first.facts,
        assignment,
        tuple([variants[pick.variant].name for pick in picks]),
    )
