"""Choose the variant that answers a request, and record that its unit was exposed to it.

See docs/decisions/0033-experiments.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

from services.recommender.metrics import SET_ASIDE
from services.recommender.serving.assignments import Assignment, variant_counters
from services.recommender.store.exposure_publisher import DAY_SECONDS
from services.recommender.store.exposures import NOTHING_SHOWN, AnswerFacts
from shared.aws import WireError
from shared.errors import ApiError, Permanent
from shared.experiments import HOLDOUT
from shared.http.devices import REQUEST_HEADERS, device_of

if TYPE_CHECKING:
    from services.recommender.store.exposure_publisher import ExposurePublisher
    from services.recommender.store.exposures import Shown
    from services.recommender.store.running_experiments import RunningExperiments
    from shared.experiments import Experiment, Variant

Answer = TypeVar("Answer")

LASTING: Final = frozenset({"split", "bandit"})
"""The designs in which a version assigns a unit once, whatever the time and the request."""
MOST_RECENT: Final = 20_000
"""Assignments that are kept for each surface of a tenant; arbitrary, about 10 MB."""


class _Recent:
    """Assignments of the last visitors on a surface, who ask several times. They depend on nothing else.

    `change` is that of the running experiments for which they hold.
    """

    def __init__(self, experiments: Sequence[Experiment]) -> None:
        self.change = -1
        self.experiments = experiments
        self.is_lasting = all(each.design.kind in LASTING for each in experiments)
        self.is_kept = False
        """False with a holdout, to which each answer may expose."""
        self.assignments: dict[tuple[str | None, str | None], Assignment] = {}

    @classmethod
    def of(cls, running: RunningExperiments, tenant: str, surface: str, before: _Recent | None) -> _Recent:
        """Return those of before if the experiments are the same, else none yet."""
        experiments = running.on(tenant, surface)
        recent = before if before is not None and before.experiments == experiments else cls(experiments)
        recent.experiments, recent.change = experiments, running.change
        recent.is_kept = recent.is_lasting and not running.on(tenant, HOLDOUT)
        return recent

    def keep(self, key: tuple[str | None, str | None], assignment: Assignment) -> None:
        """Keep an assignment; without room, forget the oldest."""
        if len(self.assignments) >= MOST_RECENT:
            del self.assignments[next(iter(self.assignments))]
        self.assignments[key] = assignment


class Experiments:
    """The experiments in which the requests of this process take part."""

    def __init__(self, running: RunningExperiments, exposures: ExposurePublisher) -> None:
        self._running = running
        self._exposures = exposures
        self._recent: dict[tuple[str, str], _Recent] = {}

    def may_run(self, tenant: str) -> bool:
        """Return whether a tenant has an experiment; True before the experiments were read."""
        return not self._running.is_read or tenant in self._running.experimenting

    @property
    def is_read(self) -> bool:
        """Return whether the experiments were read, or could not be."""
        return self._running.is_read

    async def read(self) -> None:
        """Wait for a short time until the experiments were read, if they were not yet."""
        if not self._running.is_read:
            await self._running.first_read()

    def assign(
        self, tenant: str, surface: str, user_id: str | None, session_id: str | None = None
    ) -> Assignment | None:
        """Return the variant of a request on a surface; None if no experiment runs or it takes no part.

        The holdout comes first: its first variant takes part in no experiment. Whoever takes part in the
        holdout and could take part in an experiment of the surface is exposed to the holdout here.
        """
        recent = self._recent.get((tenant, surface))
        if recent is None or recent.change != self._running.change:
            recent = _Recent.of(self._running, tenant, surface, recent)
            if not recent.experiments:
                self._recent.pop((tenant, surface), None)
                return None
            self._recent[tenant, surface] = recent
        if not recent.is_kept:
            return self._assign(recent.experiments, user_id, session_id)
        key = user_id, session_id
        assignment = recent.assignments.get(key)
        if assignment is None:
            assignment = self._assign(recent.experiments, user_id, session_id)
            if assignment is not None:
                recent.keep(key, assignment)
        return assignment

    def assign_named(
        self, tenant: str, name: str, user_id: str | None, session_id: str | None = None
    ) -> Assignment | None:
        """Return the variant of a request in a running experiment, by its name; else as `assign` does."""
        experiment = self._running.named(tenant, name)
        return None if experiment is None else self._assign([experiment], user_id, session_id)

    def on(self, tenant: str, surface: str) -> Sequence[Experiment]:
        """Return the experiments that run on a surface."""
        return self._running.on(tenant, surface)

    def named(self, tenant: str, name: str) -> Experiment | None:
        """Return the running experiment of a name."""
        return self._running.named(tenant, name)

    def peek(self, experiment: Experiment, unit: str) -> Variant | None:
        """Return the variant of a unit that gets no answer now, so that nothing is recorded."""
        for holdout in self._running.on(experiment.tenant, HOLDOUT):
            if unit not in experiment.forced and holdout.assign(unit) is holdout.variants[0]:
                return None
        return experiment.assign(unit)

    def _assign(
        self, experiments: Sequence[Experiment], user_id: str | None, session_id: str | None
    ) -> Assignment | None:
        for experiment in experiments:
            unit = experiment.unit_of(user_id, session_id)
            if unit is None:
                continue
            variant = experiment.assign(unit)
            if variant is None:
                continue
            if unit not in experiment.forced and self._is_held_out(experiment.tenant, user_id, session_id):
                return None
            return Assignment(
                experiment, variant, unit, _headers(experiment.name, experiment.version, variant.name)
            )
        return None

    def _is_held_out(self, tenant: str, user_id: str | None, session_id: str | None) -> bool:
        """Return whether the holdout keeps a request out of experiments; record that it met the holdout."""
        for holdout in self._running.on(tenant, HOLDOUT):
            unit = holdout.unit_of(user_id, session_id)
            variant = None if unit is None else holdout.assign(unit)
            if unit is not None and variant is not None:
                if unit not in holdout.forced:
                    variant_counters(holdout.name, variant.name).answers.inc()
                    self._exposures.add(holdout, variant, unit, NOTHING_SHOWN)
                return variant is holdout.variants[0]
        return False

    def tenants(self, surface: str) -> Sequence[str]:
        """Return the tenants that have an experiment on a surface."""
        return self._running.tenants(surface)

    async def answer(
        self, assignment: Assignment | None, answer: Callable[[str | None], Awaitable[Answer]]
    ) -> tuple[Answer, Assignment | None]:
        """Return the answer by the strategy of a variant, and the assignment if it was by the variant.

        `answer` takes a strategy; None is the usual answer, which is also given if the variant's strategy is
        refused. Raise as `answer(None)` does.
        """
        if assignment is None:
            return await answer(None), None
        strategy = assignment.variant.strategy
        try:
            answered = await answer(strategy)
        except (ApiError, WireError, Permanent) as error:
            if strategy is None or not _is_client_error(error):
                raise
            answered = await answer(None)
            # The request was valid, so the strategy was not: this is no exposure.
            SET_ASIDE.labels(assignment.experiment.name, assignment.variant.name).inc()
            return answered, None
        return answered, assignment

    async def interleave(
        self,
        assignment: Assignment,
        answer: Callable[[], Awaitable[Answer]],
        usual: Callable[[], Awaitable[Answer]],
    ) -> tuple[Answer, Assignment | None]:
        """Return the answer with items of all variants, and the assignment.

        The usual answer, and None, if the strategy of a variant is refused: it would always lose.
        """
        try:
            return await answer(), assignment
        except (ApiError, WireError, Permanent) as error:
            if not _is_client_error(error):
                raise
            SET_ASIDE.labels(assignment.experiment.name, assignment.variant.name).inc()
            return await usual(), None

    def expose(
        self, assignment: Assignment, answer: bytes | Shown, seconds: float, *, is_fallback: bool = False
    ) -> None:
        """Record that an answer, which took some seconds, goes to the unit; publishing it happens later.

        A forced unit is a test: it is no exposure, so it stays out of the results.
        """
        if assignment.is_forced:
            return
        assignment.counters.answers.inc()
        experiment, variant = assignment.experiment, assignment.variant
        day = int(time.time() // DAY_SECONDS)
        if assignment.exposed_day == day:
            self._exposures.repeated()
            return
        assignment.counters.seconds.observe(seconds)
        if is_fallback:
            assignment.counters.fallbacks.inc()
        facts = AnswerFacts(round(seconds * 1000, 3), is_fallback, device_of(REQUEST_HEADERS.get()))
        self._exposures.add(experiment, variant, assignment.unit, answer, facts=facts)
        if experiment.design.kind in LASTING:
            assignment.exposed_day = day

    def mark_difference(self, assignment: Assignment, shown: Shown, at: float) -> None:
        """Record that the answers of the variants to a request of a time, in seconds since 1970, differ.

        The first one of a unit is enough, so its later answers are not compared by this process.
        """
        assignment.is_compared = False
        self._exposures.add(
            assignment.experiment, assignment.variant, assignment.unit, shown, at=at, differs=True
        )


def _is_client_error(error: ApiError | WireError | Permanent) -> bool:
    if isinstance(error, ApiError):
        return error.status < 500
    return not isinstance(error, WireError) or error.code not in {"InternalFailure", "ServiceUnavailable"}


@lru_cache(maxsize=4_096)
def _headers(name: str, version: int, variant: str) -> Sequence[tuple[bytes, bytes]]:
    return ((b"x-experiment", f"{name};v={version}".encode()), (b"x-variant", variant.encode()))
