"""The most frequent request, for the list of a user, in one function: from the id to the HTTP message.

It gives the answer of `RestAnswers.for_user` for less CPU time (docs/speed.md); a property test compares the
two. What is not usual is left to that general way, with what was read: a short list, newer events, overrides,
a variant with a strategy.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import orjson

from services.recommender.api.interleaved_lists import ListRequest
from services.recommender.api.replies import Reply, encode_body
from services.recommender.domain.recipes import USER
from services.recommender.serving.live_lists import ServedList
from services.recommender.serving.precomputed import count_answer
from shared.experiments import RECOMMENDATIONS

if TYPE_CHECKING:
    from services.recommender.api.rest_answers import RestAnswers
    from services.recommender.domain.activations import ActiveGenerations
    from services.recommender.serving.experiments import Experiments
    from services.recommender.serving.live_lists import LiveLists
    from services.recommender.serving.recorder import AnswerRecorder
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.lists import Lists
    from services.recommender.store.overrides import Overrides


class UsualLists:
    """Answers requests for the lists of users."""

    def __init__(
        self,
        answers: RestAnswers,
        lists: Lists,
        active: ActiveGenerations,
        overrides: Overrides,
        live: LiveLists,
        catalogues: Catalogues,
        experiments: Experiments,
        recorder: AnswerRecorder,
    ) -> None:
        self._answers = answers
        self._lists = lists
        self._active = active
        self._overrides = overrides
        self._live = live
        self._catalogues = catalogues
        self._experiments = experiments
        self._recorder = recorder

    async def message(self, tenant: str, user_id: str, limit: int, head: bytes) -> bytes:
        """Return the HTTP message of an answer; `head` is its beginning. Raise as `RestAnswers` does."""
        assignment, read, began = None, None, 0.0
        if self._experiments.may_run(tenant):
            if not self._experiments.is_read:
                await self._experiments.read()
            began = time.perf_counter()
            assignment = self._experiments.assign(tenant, RECOMMENDATIONS, user_id)
        active = self._active.of(tenant)
        generation, overlay = active.generations.get(USER), active.overlays.get(USER)
        is_usual = assignment is None or assignment.is_usual
        if generation is not None and is_usual and not self._overrides.has_any(tenant):
            may_be_live = self._live.may_replace(tenant, USER)
            lookup = await self._lists.look_up(
                tenant, generation, USER, user_id, user_id, with_newest_event=may_be_live, overlay=overlay
            )
            if lookup.overlay is not None:
                generation = lookup.overlay.generation
            if not may_be_live or not self._live.replaces(tenant, lookup):
                rows = self._catalogues.of(tenant).encode(lookup.items, lookup.purchased, limit, USER)
                if len(rows) == limit:
                    source, variant = lookup.source, None if assignment is None else assignment.answered
                    count_answer(source)
                    id_ = self._recorder.rest(
                        *(tenant, user_id, USER, rows, source, generation, {"limit": limit}, variant),
                        scores=lookup.items,
                    )
                    member = b'"user_id":' + orjson.dumps(user_id)
                    reply = Reply(encode_body(member, rows, source, generation, id_), source, generation, id_)
                    if assignment is not None:
                        reply.assigned = assignment.headers
                        seconds, is_fallback = time.perf_counter() - began, assignment.is_fallback(source)
                        self._experiments.expose(assignment, reply.body, seconds, is_fallback=is_fallback)
                        if assignment.is_compared:
                            request = ListRequest(tenant, user_id, None, limit, USER)
                            self._answers.compare(request, assignment, reply.body)
                    return reply.message(head)
            read = ServedList(lookup, generation, USER)
        return (await self._answers.for_user(tenant, user_id, limit, None, USER, None, read)).message(head)
