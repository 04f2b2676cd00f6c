"""Jobs: bad files fail with a sentence, a killed worker leaves nothing stuck, a crash fails one version."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import computations
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA, interactions_csv, items_csv
from tests.support.processes import Process, process
from tests.support.waiting import PATIENCE, until

# The worker is killed here.
pytestmark = pytest.mark.own_engine

RECIPE = "arn:aws:personalize:::recipe/aws-user-personalization"


@pytest.fixture(scope="module")
def datasets(engine: Engine) -> dict[str, str]:
    """A group with an interactions and an items dataset, both empty."""
    personalize = engine.personalize
    arns = {"group": personalize.create_dataset_group(name="jobs")["datasetGroupArn"]}
    for kind, schema in (("Interactions", INTERACTIONS_SCHEMA), ("Items", ITEMS_SCHEMA)):
        made = personalize.create_schema(name=f"jobs-{kind}", schema=json.dumps(schema))
        arns[kind] = personalize.create_dataset(
            name=f"jobs-{kind}",
            schemaArn=made["schemaArn"],
            datasetGroupArn=arns["group"],
            datasetType=kind,
        )["datasetArn"]
    return arns


def start_import(engine: Engine, name: str, dataset: str, location: str, mode: str = "FULL") -> str:
    arn: str = engine.personalize.create_dataset_import_job(
        jobName=name,
        datasetArn=dataset,
        dataSource={"dataLocation": location},
        roleArn=ROLE,
        importMode=mode,
    )["datasetImportJobArn"]
    return arn


def ended(engine: Engine, arn: str) -> dict[str, Any]:
    return engine.finished(engine.personalize.describe_dataset_import_job, datasetImportJobArn=arn)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("columns", "ITEM_ID,NAME\na,b\n", "Input CSV is missing the following columns:[CATEGORY, PRICE]"),
        ("long", f"ITEM_ID,CATEGORY,PRICE\n{'a' * 257},b,1\n", "ITEM_ID is longer than 256 characters"),
        ("null", "ITEM_ID,CATEGORY,PRICE\na,b,1\n,b,2\n", "row 3 (the header is row 1): ITEM_ID is empty"),
        ("ragged", "ITEM_ID,CATEGORY,PRICE\na,b,1,more\n", "it has 4 values, and the header 3 columns"),
        (
            "quote",
            'ITEM_ID,CATEGORY,PRICE\na,b,1\n"b\n,c,2\nd,e,3\n',
            "row 3 (the header is row 1): a quoted text",
        ),
        ("header-only", "ITEM_ID,CATEGORY,PRICE\n", "has no rows"),
        ("empty", "", "is empty"),
        ("latin", "ITEM_ID,CATEGORY,PRICE\nJürgen,b,1\n".encode("latin-1"), "is not UTF-8"),
    ],
)
def test_a_bad_file_fails_its_import_with_a_sentence(
    engine: Engine, worker: Process, datasets: dict[str, str], name: str, content: str | bytes, sentence: str
) -> None:
    location = engine.put(f"bad/{name}.csv", content)

    job = ended(engine, start_import(engine, f"bad-{name}", datasets["Items"], location))

    assert job["status"] == "CREATE FAILED"
    assert sentence in job["failureReason"]


@pytest.mark.parametrize(
    "location",
    [
        "s3://no-such-bucket-here/a.csv",
        "s3://No_Such_Bucket/a.csv",
        "s3://no bucket!/a.csv",
        "s3://no bucket!/",
        "nothing.csv",
        "nothing/",
    ],
)
def test_a_place_where_nothing_is_fails_its_import(
    engine: Engine, worker: Process, datasets: dict[str, str], location: str
) -> None:
    address = location if location.startswith("s3:") else f"s3://{engine.bucket}/{location}"
    name = f"nowhere-{abs(hash(location))}"

    job = ended(engine, start_import(engine, name, datasets["Items"], address))

    assert job["status"] == "CREATE FAILED"
    assert job["failureReason"].startswith("Invalid Data location.")


def test_a_folder_is_imported_whole_and_increments_come_after(
    engine: Engine, worker: Process, datasets: dict[str, str]
) -> None:
    lines = items_csv().splitlines()
    engine.put("parts/1.csv", "\n".join([lines[0], *lines[1:30]]))
    engine.put("parts/2.csv", "\n".join([lines[0], *lines[30:]]))
    engine.put("parts/readme.txt", "not a CSV file")
    engine.put("parts/old/3.csv", "in a sub-folder")
    engine.put("more/1.csv", f'{lines[0]}\nnew-item,"shelf\\",5\nnewer-item,shelf-0,6\n')
    # A folder without its slash, and a backslash that escapes no quote.
    more = f"s3://{engine.bucket}/more"

    # Queued at once: they run one after the other, in this order.
    full = start_import(engine, "folder", datasets["Items"], f"s3://{engine.bucket}/parts/")
    increment = start_import(engine, "increment", datasets["Items"], more, "INCREMENTAL")

    whole = ended(engine, full)
    assert whole["status"] == "ACTIVE"
    assert ended(engine, increment)["status"] == "ACTIVE"
    jobs = [job for job in status(engine)["jobs"] if job["arn"] in {full, increment}]
    assert [job["arn"] for job in jobs] == [increment, full]
    assert whole["lastUpdatedDateTime"] <= datetime.fromisoformat(jobs[0]["started_at"])


def test_an_increment_after_a_full_import_that_failed_fails_too(engine: Engine, worker: Process) -> None:
    personalize = engine.personalize
    group = personalize.create_dataset_group(name="failing")["datasetGroupArn"]
    schema = personalize.create_schema(name="failing", schema=json.dumps(ITEMS_SCHEMA))["schemaArn"]
    dataset = personalize.create_dataset(
        name="failing", schemaArn=schema, datasetGroupArn=group, datasetType="Items"
    )["datasetArn"]
    bad, good = engine.put("bad/full.csv", "nonsense"), engine.put("good.csv", items_csv())

    full = start_import(engine, "failing-full", dataset, bad)
    increment = start_import(engine, "failing-increment", dataset, good, "INCREMENTAL")

    assert ended(engine, full)["status"] == "CREATE FAILED"
    failed = ended(engine, increment)
    assert failed["status"] == "CREATE FAILED"
    assert "no rows of a FULL import" in failed["failureReason"]


def status(engine: Engine, tenant: str = "jobs") -> dict[str, Any]:
    answer = httpx.get(
        f"{engine.server.url}/v1/status?limit=200",
        headers={"x-api-key": engine.environment["ENDCAP_SERVICE_KEY"], "x-endcap-tenant": tenant},
        timeout=PATIENCE,
    )
    found: dict[str, Any] = answer.json()
    return found


def test_an_increment_needs_a_full_import(engine: Engine, datasets: dict[str, str]) -> None:
    personalize = engine.personalize

    with pytest.raises(personalize.exceptions.InvalidInputException, match="FULL import"):
        start_import(engine, "too-early", datasets["Interactions"], "s3://a/b.csv", "INCREMENTAL")


def test_nothing_to_train_on_fails_the_version(
    engine: Engine, worker: Process, datasets: dict[str, str]
) -> None:
    personalize = engine.personalize
    group = personalize.create_dataset_group(name="barren")["datasetGroupArn"]
    solution = personalize.create_solution(name="barren", datasetGroupArn=group, recipeArn=RECIPE)
    version = personalize.create_solution_version(solutionArn=solution["solutionArn"])

    failed = engine.finished(
        personalize.describe_solution_version, solutionVersionArn=version["solutionVersionArn"]
    )

    assert failed["status"] == "CREATE FAILED"
    assert "no interactions to train on" in failed["failureReason"]
    with pytest.raises(personalize.exceptions.InvalidInputException):
        personalize.create_campaign(name="barren", solutionVersionArn=version["solutionVersionArn"])


@pytest.fixture(scope="module")
def trainable(engine: Engine, worker: Process, datasets: dict[str, str]) -> str:
    """A solution with data to train on."""
    location = engine.put("trainable.csv", interactions_csv())
    imported = ended(engine, start_import(engine, "trainable", datasets["Interactions"], location))
    assert imported["status"] == "ACTIVE", imported
    arn: str = engine.personalize.create_solution(
        name="trainable", datasetGroupArn=datasets["group"], recipeArn=RECIPE
    )["solutionArn"]
    return arn


def test_a_computation_that_is_killed_fails_its_version_alone(
    engine: Engine, worker: Process, trainable: str
) -> None:
    personalize = engine.personalize
    doomed = personalize.create_solution_version(solutionArn=trainable)["solutionVersionArn"]
    _, computation = _who_computes(worker)
    os.kill(computation, signal.SIGKILL)
    fine = personalize.create_solution_version(solutionArn=trainable)["solutionVersionArn"]

    failed = engine.finished(personalize.describe_solution_version, solutionVersionArn=doomed)
    trained = engine.finished(personalize.describe_solution_version, solutionVersionArn=fine)

    assert failed["status"] == "CREATE FAILED"
    assert "killed" in failed["failureReason"]
    assert trained["status"] == "ACTIVE"
    assert worker.popen.poll() is None


def test_a_training_that_is_stopped_ends_soon(engine: Engine, worker: Process, trainable: str) -> None:
    personalize = engine.personalize
    version = personalize.create_solution_version(solutionArn=trainable)["solutionVersionArn"]
    _, computation = _who_computes(worker)
    # Frozen, it can't end by having done its work.
    os.kill(computation, signal.SIGSTOP)

    personalize.stop_solution_version_creation(solutionVersionArn=version)
    described = personalize.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    assert described["status"] in {"CREATE STOPPING", "CREATE STOPPED"}

    eventually_gone(computation)
    ended = engine.finished(personalize.describe_solution_version, solutionVersionArn=version)
    assert ended["status"] == "CREATE STOPPED"
    assert "failureReason" not in ended


def test_a_killed_worker_leaves_no_version_stuck(engine: Engine, worker: Process, trainable: str) -> None:
    """Kill -9 in the middle of a training: the computation ends too, and another worker trains anew."""
    personalize = engine.personalize
    with process("engine", "worker", engine.environment, engine.folder) as second:
        version = personalize.create_solution_version(solutionArn=trainable)["solutionVersionArn"]
        victim, computation = _who_computes(worker, second)

        victim.kill()

        eventually_gone(computation)
        asyncio.run(expire_leases(engine.database.url))
        trained = engine.finished(personalize.describe_solution_version, solutionVersionArn=version)
    assert trained["status"] == "ACTIVE", trained
    [job] = [job for job in status(engine)["jobs"] if job["arn"] == version]
    assert job["attempts"] == 2


def _who_computes(*workers: Process) -> tuple[Process, int]:
    def found() -> tuple[Process, int] | None:
        return next(((worker, each) for worker in workers for each in computations(worker)), None)

    return until(found, "a computation was started", every=0.01)


async def expire_leases(url: str) -> None:
    """Let the leases of running jobs run out, rather than after fifteen seconds."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("UPDATE engine.jobs SET lease_until = now() WHERE status = 'running'")
    finally:
        await connection.close()


def eventually_gone(pid: int) -> None:
    until(lambda: not Path(f"/proc/{pid}").exists(), "the computation ended")
