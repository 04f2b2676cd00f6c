"""What a training warns of, refuses when strict, and reports."""

from __future__ import annotations

import pyarrow as pa
import pytest

from services.engine.recipes import Dataset
from services.engine.worker import importing, training
from shared.errors import Permanent


def dataset(users: int, events: int) -> Dataset:
    rows = [
        (f"u{user}", f"i{event}", 1_700_000_000 + event) for user in range(users) for event in range(events)
    ]
    return Dataset.from_arrow(
        pa.table(
            {
                "USER_ID": [row[0] for row in rows],
                "ITEM_ID": [row[1] for row in rows],
                "TIMESTAMP": [row[2] for row in rows],
            }
        )
    )


def test_enough_data_gives_no_warning() -> None:
    assert training.too_little(dataset(50, 20), strict=True) == []


@pytest.mark.parametrize(
    ("users", "events", "sentences"),
    [
        (30, 2, ["Dataset has fewer than 1000 interactions."]),
        (
            1200,
            1,
            ["Dataset has fewer than 25 users with at least 2 interactions each."],
        ),
        (
            2,
            2,
            [
                "Dataset has fewer than 1000 interactions.",
                "Dataset has fewer than 25 users with at least 2 interactions each.",
            ],
        ),
    ],
)
def test_too_little_data_is_warned_of_and_refused_when_strict(
    users: int, events: int, sentences: list[str]
) -> None:
    little = dataset(users, events)

    assert training.too_little(little, strict=False) == sentences
    with pytest.raises(Permanent) as caught:
        training.too_little(little, strict=True)
    assert str(caught.value) == " ".join(sentences)


def _spec(kind: str, *, strict: bool) -> importing.Spec:
    return importing.Spec("b", "k", "{}", kind, "FULL", "f/", strict)


def test_a_small_import_is_warned_of_and_refused_when_strict() -> None:
    assert importing.warnings_of(_spec("INTERACTIONS", strict=False), 999) == [
        "The import has 999 interactions, fewer than 1000."
    ]
    assert importing.warnings_of(_spec("ITEMS", strict=True), 3) == []
    with pytest.raises(Permanent, match="fewer than 1000"):
        importing.warnings_of(_spec("INTERACTIONS", strict=True), 999)


def test_a_step_reports_its_part_of_the_whole() -> None:
    heard: list[tuple[str, float]] = []

    report = training.part_of(lambda step, share: heard.append((step, share)), "train", 0.1, 0.8)
    report("count", 0.0)
    report("done", 1.0)

    assert heard == [("train: count", 0.1), ("train: done", 0.9)]
