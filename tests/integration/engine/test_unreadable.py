"""A stored resource that cannot be parsed is left out of lists, and its name and the reason are said."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from services.engine.domain.resources import NewResource, ResourceType, Status
from services.engine.domain.state import ResourceState
from services.engine.jobs.registry import EngineJobs
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.personalize.operations import TABLE
from services.engine.settings import Settings
from services.engine.store.resources import Resources
from shared.aws import WireError
from shared.jobs import Job
from shared.postgres import Database
from tests.support.control_plane import ACCOUNT, perform
from tests.support.stored_resources import ROWS

BROKEN = {"tags": "none"}
"""Facts that no type of resource has."""


def noun(kind: ResourceType) -> str:
    return kind.value.title().replace("-", "")


LISTED = [each for each in ROWS if f"List{noun(each[0].type)}s" in TABLE]


async def add(
    store: Database, kind: ResourceType, name: str, document: dict[str, Any], facts: dict[str, Any]
) -> str:
    """Store a resource; return its ARN."""
    tenant = None if kind is ResourceType.SCHEMA else "shop"
    prefix = "solution" if kind is ResourceType.SOLUTION_VERSION else kind.value
    status = Status.PENDING if kind is ResourceType.DATASET_IMPORT_JOB else Status.ACTIVE
    new = NewResource(kind, f"{prefix}/{name}", name, tenant, document, status=status, facts=facts)
    row = await Resources(store, ACCOUNT, None, "eu-west-1").add(new)
    assert row is not None
    return row.arn


@pytest.fixture(autouse=True)
async def tenant(store: Database) -> None:
    await Resources(store, ACCOUNT, None, "eu-west-1").add_tenant("shop", "shop")


@pytest.mark.parametrize(
    ("state", "document", "facts"), LISTED, ids=[state.__name__ for state, _, _ in LISTED]
)
async def test_a_list_leaves_it_out_and_describe_says_what_to_do(
    dispatcher: OperationDispatcher,
    store: Database,
    state: type[ResourceState],
    document: dict[str, Any],
    facts: dict[str, Any],
) -> None:
    kind, operation = state.type, noun(state.type)
    oldest = await add(store, kind, "oldest", document, facts)
    broken = await add(store, kind, "broken", document, facts | BROKEN)
    newest = await add(store, kind, "newest", document, facts)

    with capture_logs() as logs:
        answer = await perform(dispatcher, f"List{operation}s", maxResults=2)
    argument = f"{operation[0].lower()}{operation[1:]}Arn"
    with pytest.raises(
        WireError, match=rf"{broken} cannot be read .*facts\.tags.* delete the row"
    ) as refusal:
        await perform(dispatcher, f"Describe{operation}", **{argument: broken})

    [listed] = [value for value in vars(answer).values() if isinstance(value, list)]
    assert [each.model_dump(by_alias=True)[each.arn_member] for each in listed] == [newest, oldest]
    assert answer.next_token is None
    [error] = [entry for entry in logs if entry["log_level"] == "error"]
    assert error["resource"] == broken
    assert "facts.tags" in error["reason"]
    assert refusal.value.code == "InvalidInputException"


async def test_its_job_ends_with_the_reason(dispatcher: OperationDispatcher, store: Database) -> None:
    arn = await add(store, ResourceType.DATASET_IMPORT_JOB, "broken", {}, BROKEN)
    identifier = await store.fetchval("SELECT id FROM resources WHERE arn = $1", arn)
    kind, payload = ResourceType.DATASET_IMPORT_JOB.value, {"resource": identifier}
    job, jobs = Job(1, kind, str(identifier), payload, 1, {}, "test", store), EngineJobs(store, Settings())

    with pytest.raises(Exception, match="cannot be read") as refusal:
        await jobs.handlers[kind](job)
    await jobs.failed(job, str(refusal.value))

    row = await store.fetchrow("SELECT status, failure_reason FROM resources WHERE id = $1", identifier)
    assert row is not None
    assert (row["status"], row["failure_reason"]) == ("CREATE FAILED", str(refusal.value))
