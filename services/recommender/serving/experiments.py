"""Choose the variant that answers a request, and record that its unit was exposed to it.

See docs/decisions/0033-experiments.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from services.recommender.metrics import ASSIGNED, SET_ASIDE
from services.recommender.serving.recommendation import ServedVariant
from shared.aws import WireError
from shared.errors import ApiError, Permanent

if TYPE_CHECKING:
    from prometheus_client import Counter

    from services.recommender.store.exposure_publisher import ExposurePublisher, Shown
    from services.recommender.store.running_experiments import RunningExperiments
    from shared.experiments import Experiment, Variant

Answer = TypeVar("Answer")


class Assignment(NamedTuple):
    """The variant of a unit, and the headers of an answer that say so."""

    experiment: Experiment
    variant: Variant
    unit: str
    headers: Sequence[tuple[bytes, bytes]]

    @property
    def answered(self) -> ServedVariant:
        """Return the variant as the answer by it names it."""
        return ServedVariant(self.experiment.name, self.experiment.version, self.variant.name)

    def served(self, strategy: str | None) -> ServedVariant | None:
        """Return the variant as the answer by `strategy` names it.

        None for the usual answer that is given instead of a variant whose strategy was refused.
        """
        return self.answered if strategy == self.variant.strategy else None


class Experiments:
    """The experiments in which the requests of this process take part."""

    def __init__(self, running: RunningExperiments, exposures: ExposurePublisher) -> None:
        self._running = running
        self._exposures = exposures

    def may_run(self, tenant: str) -> bool:
        """Return whether a tenant has an experiment; True before the experiments were read."""
        return not self._running.is_read or tenant in self._running.experimenting

    async def read(self) -> None:
        """Wait for a short time until the experiments were read, if they were not yet."""
        if not self._running.is_read:
            await self._running.first_read()

    def assign(self, tenant: str, surface: str, unit: str) -> Assignment | None:
        """Return the variant of a unit on a surface; None if no experiment runs or it does not take part."""
        experiment = self._running.on(tenant, surface)
        variant = None if experiment is None else experiment.assign(unit)
        if experiment is None or variant is None:
            return None
        return Assignment(
            experiment, variant, unit, _headers(experiment.name, experiment.version, variant.name)
        )

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

    def expose(self, assignment: Assignment, answer: bytes | Shown) -> None:
        """Record that an answer goes to the unit; publishing it happens later."""
        experiment, variant, unit, _ = assignment
        _assigned(experiment.name, variant.name).inc()
        self._exposures.add(experiment, variant, unit, answer)


def _is_client_error(error: ApiError | WireError | Permanent) -> bool:
    if isinstance(error, ApiError):
        return error.status < 500
    return not isinstance(error, WireError) or error.code not in {"InternalFailure", "ServiceUnavailable"}


@lru_cache(maxsize=4_096)
def _headers(name: str, version: int, variant: str) -> Sequence[tuple[bytes, bytes]]:
    return ((b"x-experiment", f"{name};v={version}".encode()), (b"x-variant", variant.encode()))


@lru_cache(maxsize=4_096)
def _assigned(experiment: str, variant: str) -> Counter:
    return ASSIGNED.labels(experiment, variant)
