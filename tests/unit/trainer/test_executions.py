"""The file that the input of an execution names, and the events of an execution that ended before its run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.trainer.domain.executions import Execution, file_of_input, history
from shared.aws import WireError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
GROUP = "arn:aws:personalize:us-east-1:000000000000:dataset/shop"


@pytest.mark.parametrize(
    ("dataset_arn", "kind"),
    [
        (f"{GROUP}/INTERACTIONS", "interactions"),
        (f"{GROUP}/datasets/items", "items"),
        (f"{GROUP}/Users", "users"),
        (f"{GROUP}/ACTIONS", None),
        (GROUP, None),
        ("", None),
        (None, None),
    ],
)
def test_the_end_of_the_datasets_arn_is_the_kind_of_the_file(
    dataset_arn: str | None, kind: str | None
) -> None:
    document = {"dataLocation": "s3://b/x.csv", "datasetArn": dataset_arn}

    assert file_of_input(document) == ("s3://b/x.csv", kind)


@pytest.mark.parametrize("document", [{}, {"dataLocation": ""}, {"dataLocation": None}])
def test_an_input_without_a_location_has_no_file(document: dict[str, Any]) -> None:
    assert file_of_input(document) is None


@pytest.mark.parametrize("location", [7, ["s3://b/x.csv"], {"path": "s3://b/x.csv"}, False])
def test_a_location_that_is_no_text_is_refused(location: object) -> None:
    with pytest.raises(WireError, match="dataLocation is not a text"):
        file_of_input({"dataLocation": location})


def step(name: str, status: str, begin: float, end: float | None) -> dict[str, Any]:
    """A step of a run that began and ended some seconds after noon."""
    return {
        "name": name,
        "status": status,
        "detail": {},
        "started_at": NOON + timedelta(seconds=begin),
        "finished_at": None if end is None else NOON + timedelta(seconds=end),
    }


def test_the_events_of_a_failed_execution_end_with_it_although_its_run_goes_on() -> None:
    failed_at = NOON + timedelta(seconds=5)
    execution = Execution(
        1, "shop", "mine", None, "{}", 7, (), NOON, "FAILED", failed_at, "import", "the import failed"
    )
    steps = [step("wait", "done", 1, 6), step("snapshot", "failed", 6, 9)]

    events = history(execution, steps, "role")

    assert [event["type"] for event in events] == ["ExecutionStarted", "TaskStateEntered", "ExecutionFailed"]
    assert events[-1]["executionFailedEventDetails"] == {"error": "import", "cause": "the import failed"}
