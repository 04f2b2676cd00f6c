"""Filters of batch jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.filters import BY_CATEGORY, SCHEMAS, make
from tests.component.engine.groups import active_version, checked, dataset_group, imported
from tests.component.engine.refusals import refused
from tests.component.engine.shop import ITEMS_SCHEMA, interactions_csv, items_csv
from tests.support.processes import Process

SHELF_0 = {f"i{item}" for item in range(0, 60, 4)}


@pytest.fixture(scope="module")
def group(engine: Engine) -> dict[str, str]:
    return dataset_group(engine, "batch-filters", SCHEMAS)


@pytest.fixture(scope="module")
def version(engine: Engine, worker: Process, group: dict[str, str]) -> str:
    users = "\n".join(["USER_ID,AGE,MEMBER", *(f"u{number},{number},true" for number in range(120))])
    imported(engine, group["Interactions"], "filters-interactions", interactions_csv())
    imported(engine, group["Items"], "filters-items", items_csv())
    imported(engine, group["Users"], "filters-users", users)
    return active_version(engine, group["group"], "aws-user-personalization")


def batch(engine: Engine, version: str, name: str, chosen: str, *lines: Any) -> list[Any]:
    """For each line of a batch job with a filter the items, or the error."""
    personalize = engine.personalize
    source = engine.put(f"{name}/in.json", "".join(f"{json.dumps(line)}\n" for line in lines))
    job = personalize.create_batch_inference_job(
        jobName=name,
        solutionVersionArn=version,
        filterArn=chosen,
        numResults=20,
        jobInput={"s3DataSource": {"path": source}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/{name}/out/"}},
        roleArn=ROLE,
    )["batchInferenceJobArn"]
    described = checked(engine, "DescribeBatchInferenceJob", batchInferenceJobArn=job)["batchInferenceJob"]
    assert described["filterArn"] == chosen
    ended = engine.finished(personalize.describe_batch_inference_job, batchInferenceJobArn=job)
    assert ended["status"] == "ACTIVE", ended
    answers = [json.loads(line) for line in engine.get(f"{name}/out/in.json.out").splitlines()]
    assert [answer["input"] for answer in answers] == list(lines)
    return [answer["error"] or set(answer["output"]["recommendedItems"]) for answer in answers]


def test_a_batch_job_honours_its_filter_line_by_line(
    engine: Engine, group: dict[str, str], version: str
) -> None:
    chosen = make(engine, group, "batch-category", BY_CATEGORY)

    lines = batch(
        engine,
        version,
        "by-category",
        chosen,
        {"userId": "u1", "filterValues": {"CATEGORY": '"shelf-0"'}},
        {"userId": "u1"},
        {"userId": "u1", "filterValues": {"CATEGORY": '"shelf-0","shelf-1"'}},
        {"userId": "nobody", "filterValues": {"CATEGORY": '"shelf-0"'}},
        {"userId": "u2", "filterValues": {"COLOUR": '"red"'}},
    )

    assert lines[0] == lines[3] == SHELF_0
    assert "includes by the parameter CATEGORY" in lines[1]
    assert len(lines[2]) == 20
    assert lines[2] <= {f"i{item}" for item in range(60) if item % 4 < 2}
    assert "no parameter COLOUR" in lines[4]


def test_a_batch_job_knows_what_users_did_and_who_they_are(
    engine: Engine, group: dict[str, str], version: str
) -> None:
    rows = [line.split(",") for line in interactions_csv().splitlines()[1:]]
    bought = {row[1] for row in rows if row[0] == "u7" and row[3] == "Purchase"}
    assert bought
    chosen = make(
        engine,
        group,
        "batch-user",
        'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase") IF CurrentUser.AGE < 50',
    )

    young, old = batch(engine, version, "by-user", chosen, {"userId": "u7"}, {"userId": "u70"})

    assert young == bought
    assert len(old) == 20


def test_a_filter_that_does_not_suit_a_batch_job_is_refused(
    engine: Engine, group: dict[str, str], version: str
) -> None:
    def message(chosen: str, code: str = "InvalidInputException") -> str:
        return refused(
            code,
            engine.personalize.create_batch_inference_job,
            jobName="unsuitable",
            solutionVersionArn=version,
            filterArn=chosen,
            jobInput={"s3DataSource": {"path": f"s3://{engine.bucket}/nothing.json"}},
            jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/out/"}},
            roleArn=ROLE,
        )

    users = make(engine, group, "of-users", "INCLUDE UserID WHERE Users.AGE > 3")
    elsewhere = make(
        engine,
        dataset_group(engine, "elsewhere", {"Items": ITEMS_SCHEMA}),
        "elsewhere",
        "EXCLUDE ItemID WHERE Items.PRICE > 3",
    )

    assert "selects users" in message(users)
    assert "another dataset group" in message(elsewhere)
    message(f"{elsewhere}-not", "ResourceNotFoundException")


def test_a_batch_job_knows_what_was_imported_since_the_training(
    engine: Engine, group: dict[str, str], version: str
) -> None:
    chosen = make(engine, group, "batch-later", 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE = "purchase"')
    [before] = batch(engine, version, "before", chosen, {"userId": "u8"})
    new = next(item for item in sorted(SHELF_0) if item not in before)
    header = interactions_csv().partition("\n")[0]
    rows = f"{header}\nu8,{new},1800000000,Order Completed,\n"
    imported(engine, group["Interactions"], "filters-later", rows, mode="INCREMENTAL")

    [after] = batch(engine, version, "after", chosen, {"userId": "u8"})

    assert after == {*before, new}


def test_a_segment_holds_the_users_that_its_filter_includes(
    engine: Engine, group: dict[str, str], version: str
) -> None:
    personalize = engine.personalize
    segments = active_version(engine, group["group"], "aws-item-affinity")
    chosen = make(engine, group, "young", "INCLUDE UserID WHERE Users.AGE < $AGE")
    lines = [
        {"itemId": "i5", "filterValues": {"AGE": "30"}},
        {"itemId": "i5", "filterValues": {"YEARS": "30"}},
        {"itemId": "i5", "filterValues": {"AGE": "120"}},
    ]
    source = engine.put("young/in.json", "".join(f"{json.dumps(line)}\n" for line in lines))

    job = personalize.create_batch_segment_job(
        jobName="young",
        solutionVersionArn=segments,
        filterArn=chosen,
        numResults=200,
        jobInput={"s3DataSource": {"path": source}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/young/out/"}},
        roleArn=ROLE,
    )["batchSegmentJobArn"]

    ended = engine.finished(personalize.describe_batch_segment_job, batchSegmentJobArn=job)
    assert ended["status"] == "ACTIVE", ended
    assert ended["filterArn"] == chosen
    young, bad, everybody = (json.loads(line) for line in engine.get("young/out/in.json.out").splitlines())
    ages = {int(user[1:]) for user in young["output"]["usersList"]}
    assert ages
    assert max(ages) < 30
    assert "no parameter YEARS" in bad["error"]
    assert set(young["output"]["usersList"]) == {
        user for user in everybody["output"]["usersList"] if int(user[1:]) < 30
    }
