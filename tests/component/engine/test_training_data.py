"""What a version is trained on: imports of both modes, the tracker's events; and what UPDATE takes over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from shared.models import load
from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import dataset_group, imported, new_version
from tests.component.engine.shop import (
    EVENTS,
    INTERACTIONS_SCHEMA,
    ITEMS_SCHEMA,
    SHELVES,
    USERS,
    interactions_csv,
)
from tests.support.processes import Process
from tests.support.waiting import PATIENCE

RECIPES = "arn:aws:personalize:::recipe"
HEADER = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE"


class Group:
    """A dataset group whose versions tell what they were trained on."""

    def __init__(self, engine: Engine, name: str, interactions: dict[str, Any] = INTERACTIONS_SCHEMA) -> None:
        self.engine, self.name = engine, name
        self.arn = engine.personalize.create_dataset_group(name=name)["datasetGroupArn"]
        self.datasets = {
            kind: self._dataset(kind, schema)
            for kind, schema in (("Interactions", interactions), ("Items", ITEMS_SCHEMA))
        }
        self.solution = engine.personalize.create_solution(
            name=name, datasetGroupArn=self.arn, recipeArn=f"{RECIPES}/aws-user-personalization"
        )["solutionArn"]
        self._imports = 0

    def _dataset(self, kind: str, schema: dict[str, Any]) -> str:
        personalize = self.engine.personalize
        made = personalize.create_schema(name=f"{self.name}-{kind}", schema=json.dumps(schema))
        arn: str = personalize.create_dataset(
            name=f"{self.name}-{kind}",
            schemaArn=made["schemaArn"],
            datasetGroupArn=self.arn,
            datasetType=kind,
        )["datasetArn"]
        return arn

    def imported(self, kind: str, content: str, mode: str) -> None:
        """Import a file to its end."""
        self._imports += 1
        personalize = self.engine.personalize
        job = personalize.create_dataset_import_job(
            jobName=f"{self.name}-{self._imports}",
            datasetArn=self.datasets[kind],
            dataSource={"dataLocation": self.engine.put(f"{self.name}/{self._imports}.csv", content)},
            roleArn=ROLE,
            importMode=mode,
        )["datasetImportJobArn"]
        ended = self.engine.finished(personalize.describe_dataset_import_job, datasetImportJobArn=job)
        assert ended["status"] == "ACTIVE", ended

    def trained(self, mode: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A version trained in this mode, and what the engine says about it."""
        personalize = self.engine.personalize
        arn = personalize.create_solution_version(solutionArn=self.solution, trainingMode=mode)[
            "solutionVersionArn"
        ]
        version = self.engine.finished(personalize.describe_solution_version, solutionVersionArn=arn)
        assert version["status"] == "ACTIVE", version
        jobs = httpx.get(
            f"{self.engine.server.url}/v1/status?limit=200",
            headers={
                "x-api-key": self.engine.environment["ENDCAP_SERVICE_KEY"],
                "x-endcap-tenant": self.name,
            },
            timeout=PATIENCE,
        ).json()["jobs"]
        [details] = [job["details"] for job in jobs if job["arn"] == arn]
        return version, details

    def recommended(self, version: str, user: str) -> list[str]:
        """What a batch inference job gives a user."""
        personalize = self.engine.personalize
        name = f"{self.name}-{version[-8:]}-{user}"
        job = personalize.create_batch_inference_job(
            jobName=name,
            solutionVersionArn=version,
            numResults=500,
            jobInput={"s3DataSource": {"path": self.engine.put(f"{name}.json", f'{{"userId": "{user}"}}')}},
            jobOutput={"s3DataDestination": {"path": f"s3://{self.engine.bucket}/{name}/"}},
            roleArn=ROLE,
        )["batchInferenceJobArn"]
        ended = self.engine.finished(personalize.describe_batch_inference_job, batchInferenceJobArn=job)
        assert ended["status"] == "ACTIVE", ended
        items: list[str] = json.loads(self.engine.get(f"{name}/{name}.json.out"))["output"][
            "recommendedItems"
        ]
        return items


def test_an_update_adds_new_events_and_selects_no_methods_again(engine: Engine, worker: Process) -> None:
    group = Group(engine, "folding")
    group.imported("Interactions", interactions_csv(), "FULL")
    _, before = group.trained("FULL")
    rows = [f"u{user},novelty,{1_800_000_000 + user},View," for user in range(0, USERS, 2)]
    group.imported("Interactions", "\n".join([HEADER, *rows]), "INCREMENTAL")

    version, after = group.trained("UPDATE")

    assert version["trainingMode"] == "UPDATE"
    assert before["interactions"] == USERS * EVENTS
    assert after["interactions"] == USERS * EVENTS + len(rows)
    assert after["items"] == before["items"] + 1
    assert after["notes"] == before["notes"]
    assert "novelty" in group.recommended(version["solutionVersionArn"], "u1")


def test_autotrain_leaves_the_mode_to_the_service(engine: Engine, worker: Process) -> None:
    group = Group(engine, "autotrain")
    group.imported("Interactions", interactions_csv(), "FULL")

    first, chosen = group.trained("AUTOTRAIN")
    second, taken_over = group.trained("AUTOTRAIN")

    assert first["trainingMode"] == second["trainingMode"] == "AUTOTRAIN"
    assert taken_over["notes"] == chosen["notes"]


def test_a_full_import_replaces_imported_rows_alone(
    engine: Engine, worker: Process, tracked_event: Callable[..., None]
) -> None:
    group = Group(engine, "replacing")
    for number in range(30):
        tracked_event("replacing", user=f"t{number % 10}", item="only-tracked", second=number)
    group.imported("Interactions", interactions_csv(USERS), "FULL")
    group.imported("Interactions", f"{HEADER}\nu0,extra,1700000000,View,\n", "INCREMENTAL")
    _, before = group.trained("FULL")
    group.imported("Interactions", interactions_csv(USERS // 2), "FULL")

    version, after = group.trained("FULL")

    assert before["interactions"] == USERS * EVENTS + 1 + 30
    assert after["interactions"] == USERS // 2 * EVENTS + 30
    assert "extra" not in group.recommended(version["solutionVersionArn"], "u1")
    assert "only-tracked" in group.recommended(version["solutionVersionArn"], "u3")


def test_an_increment_replaces_the_rows_of_its_ids(engine: Engine, worker: Process) -> None:
    group = Group(engine, "upserting")
    group.imported("Interactions", interactions_csv(), "FULL")
    group.imported("Items", "ITEM_ID,CATEGORY,PRICE\ni1,a,1\nunseen,b,2\n", "FULL")
    group.imported("Items", "ITEM_ID,CATEGORY,PRICE\nunseen,c,3\nother,c,4\n", "INCREMENTAL")

    _, details = group.trained("FULL")

    assert details["items"] == 60 + 2


def test_three_columns_are_enough(
    engine: Engine, worker: Process, tracked_event: Callable[..., None]
) -> None:
    least = {**INTERACTIONS_SCHEMA, "fields": INTERACTIONS_SCHEMA["fields"][:3]}
    group = Group(engine, "least", least)
    rows = [line.rsplit(",", 2)[0] for line in interactions_csv().splitlines()]
    group.imported("Interactions", "\n".join(rows), "FULL")
    alone, _ = group.trained("FULL")
    tracked_event("least", user="u1", item="only-tracked", second=1)
    shelf = [f"i{item}" for item in range(3, 60, SHELVES)]
    later = [f"newcomer,{item},{1_800_000_000 + number}" for number, item in enumerate(shelf[:4])]
    group.imported("Interactions", "\n".join([rows[0], *later]), "INCREMENTAL")
    found = group.recommended(alone["solutionVersionArn"], "newcomer")

    _, details = group.trained("FULL")

    assert details["interactions"] == USERS * EVENTS + 1 + len(later)
    assert sum(item in shelf for item in found[:8]) >= 6


def test_an_increment_counts_in_a_batch_without_another_training(engine: Engine, worker: Process) -> None:
    group = Group(engine, "continuing")
    group.imported("Interactions", interactions_csv(), "FULL")
    version, _ = group.trained("FULL")
    arn = version["solutionVersionArn"]
    popular = group.recommended(arn, "stranger")
    shelf = [f"i{item}" for item in range(3, 60, SHELVES)]

    rows = [f"newcomer,{item},{1_800_000_000 + number},View," for number, item in enumerate(shelf[:4])]
    group.imported("Interactions", "\n".join([HEADER, *rows]), "INCREMENTAL")
    found = group.recommended(arn, "newcomer")

    assert found[:5] != popular[:5]
    assert sum(item in shelf for item in found[:8]) >= 6


def test_a_model_stores_the_contexts_of_its_interactions(
    engine: Engine, worker: Process, tmp_path: Path
) -> None:
    fields = [
        *INTERACTIONS_SCHEMA["fields"],
        {"name": "DAY_PART", "type": ["null", "string"], "categorical": True},
        {"name": "STORE", "type": ["null", "string"], "categorical": True},
        {"name": "NOTE", "type": ["null", "string"]},
    ]
    arns = dataset_group(engine, "parts", {"Interactions": INTERACTIONS_SCHEMA | {"fields": fields}})
    rows = [
        f"u{number % 40},{'coffee' if number % 2 else 'tea'},{1_700_000_000 + number},View,,"
        f"{'morning' if number % 2 else 'evening'},graz,x"
        for number in range(400)
    ]
    header = f"{HEADER},DAY_PART,STORE,NOTE"
    imported(engine, arns["Interactions"], "parts", "\n".join([header, *rows]) + "\n")
    solution = engine.personalize.create_solution(
        name="parts",
        datasetGroupArn=arns["group"],
        recipeArn=f"{RECIPES}/aws-user-personalization",
        performAutoTraining=False,
        solutionConfig={
            "trainingDataConfig": {"excludedDatasetColumns": {"Interactions": ["STORE"]}},
        },
    )["solutionArn"]
    version = new_version(engine, solution)

    folder = f"parts/models/parts/{version.rpartition('/')[2]}/"
    for file in engine.s3.list_objects_v2(Bucket="endcap-data", Prefix=folder)["Contents"]:
        engine.s3.download_file("endcap-data", file["Key"], tmp_path / file["Key"].removeprefix(folder))
    model = load(tmp_path)

    assert model.context.columns == ("DAY_PART", "STORE", "NOTE")
    assert model.context.counted == ("DAY_PART",)
    for part, item in (("morning", "coffee"), ("evening", "tea")):
        assert model.recommend(user_id="new", context={"dayPart": part})[0][0] == item
