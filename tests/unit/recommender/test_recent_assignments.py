"""Kept assignments of recent visitors are those that would be computed, whatever changes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from services.recommender.serving import experiments as serving
from services.recommender.serving.experiments import Experiments
from services.recommender.store.exposure_journal import ExposureJournal
from services.recommender.store.exposure_publisher import ExposurePublisher
from services.recommender.store.running_experiments import RunningExperiments
from shared.experiments import Experiment

if TYPE_CHECKING:
    from shared.kafka import Publisher
    from shared.postgres import Database

NOW = datetime(2026, 11, 20, tzinfo=UTC)
USERS = [f"u{n}" for n in range(40)]
SURFACE = "recommendations"


class Serving:
    """The experiments of a process without Kafka and Postgres."""

    def __init__(self) -> None:
        self.running = RunningExperiments(cast("Database", None), 1.0)
        self.exposures = ExposurePublisher(
            cast("Publisher", None), ExposureJournal(Path("/dev/null/state")), 1_000
        )
        self.experiments = Experiments(self.running, self.exposures)

    def run(self, **fields: Any) -> None:
        """Let a state of an experiment be known here."""
        state = {
            "tenant": "shop",
            "name": "e",
            "version": 1,
            "surface": SURFACE,
            "salt": "s",
            "variants": [{"name": "a"}, {"name": "b"}],
            "traffic": 1.0,
            "status": "running",
            "created_at": NOW,
            "started_at": NOW,
            **fields,
        }
        self.running._merge([Experiment.model_validate(state)])

    def variants(self) -> list[str | None]:
        """Return the variants of the users, which must be the same twice."""
        first, second = ([self.experiments.assign("shop", SURFACE, user) for user in USERS] for _ in range(2))
        assert first == second
        computed = self.experiments._assign(self.running.on("shop", SURFACE), USERS[0], None)
        assert first[0] == computed
        return [None if each is None else each.variant.name for each in first]


def test_each_change_of_an_experiment_counts_at_once() -> None:
    serving = Serving()
    assert serving.variants() == [None] * len(USERS)
    serving.run()
    split = serving.variants()
    serving.run()
    assert serving.variants() == split
    assert {*split} == {"a", "b"}

    serving.run(revision=2, forced={"u0": "b", "u1": "a"}, disabled=["b"])
    assert serving.variants()[:2] == ["b", "a"]
    assert {*serving.variants()[2:]} == {"a", None}
    serving.run(version=2, salt="another")
    assert serving.variants() != split
    serving.run(name="hold", surface="holdout", salt="h")
    assert serving.variants().count(None) > 5
    serving.run(version=2, salt="another", revision=2, status="paused")
    assert serving.variants() == [None] * len(USERS)


def test_a_repeated_exposure_is_recorded_once() -> None:
    serving = Serving()
    serving.run(forced={"u1": "a"})
    for _ in range(3):
        for user in USERS[:2]:
            assignment = serving.experiments.assign("shop", SURFACE, user)
            assert assignment is not None
            serving.experiments.expose(assignment, b"{}", 0.0)

    assert [each.unit for each in serving.exposures._waiting] == ["u0"]


def test_the_oldest_assignments_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_RECENT", 3)
    process = Serving()
    process.run()
    process.variants()

    (recent,) = process.experiments._recent.values()
    assert [user for user, _ in recent.assignments] == USERS[-3:]
