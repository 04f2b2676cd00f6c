"""A file of resources: planned, applied, exported, applied again, with the commands that people run.

One apply of a file is a process, as people start it. One of a wrong file and one export are forks of one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import new_version
from tests.component.engine.shop import INTERACTIONS_SCHEMA, interactions_csv
from tests.support.engine import call, run
from tests.support.processes import Process, finished

# Nobody else's schemas may be in what is exported.
pytestmark = pytest.mark.own_engine

# Without the data there is nothing that a campaign could serve.
BEFORE_DATA: dict[str, Any] = {
    "schemas": {"declared": {"schema": INTERACTIONS_SCHEMA}},
    "datasetGroups": {
        "declared": {
            "datasets": {"INTERACTIONS": {"name": "declared", "schema": "declared"}},
            "eventTracker": "declared",
            "filters": {"fresh": 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("Purchase")'},
        }
    },
}
WITH_CAMPAIGN: dict[str, Any] = {
    **BEFORE_DATA,
    "datasetGroups": {
        "declared": BEFORE_DATA["datasetGroups"]["declared"]
        | {
            "filters": {"fresh": "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ('View')"},
            "solutions": {
                "declared": {
                    "recipe": "aws-popularity-count",
                    "performAutoTraining": False,
                    "campaigns": {"declared": {"minProvisionedTPS": 1}},
                }
            },
        }
    },
}


class Commands:
    """`apply` and `export` as a person runs them against the engine."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.environment = engine.environment | {
            "AWS_ENDPOINT_URL_PERSONALIZE": engine.server.url,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": engine.keys["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": engine.keys["secret_access_key"],
        }
        self.file = folder / "resources.yaml"

    def apply(self, document: Any, *words: str, status: int = 0) -> str:
        """Apply a document; return what was written to both streams."""
        self.file.write_text(yaml.safe_dump(document))
        done = call("apply", str(self.file), *words, environment=self.environment)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def export(self, *words: str) -> Any:
        """Return what exists, parsed."""
        done = call("export", *words, environment=self.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return yaml.safe_load(done.stdout)

    def apply_in_a_process(self) -> str:
        """Run `python -m services.engine apply … --yes`; return its output."""
        done = run("services.engine", "apply", str(self.file), "--yes", environment=self.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def in_a_fork(self, *words: str, status: int = 0) -> str:
        """Run a command to its end; return its output, or what it wrote of an error."""
        done = finished("engine", words, self.environment, self.file.parent)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr if status else done.stdout


@pytest.fixture
def commands(engine: Engine, worker: Process, tmp_path: Path) -> Commands:
    """The two commands, with a worker behind them."""
    return Commands(engine, tmp_path)


def test_from_nothing_to_a_campaign_and_back_into_a_file(engine: Engine, commands: Commands) -> None:
    planned = commands.apply(BEFORE_DATA, "--plan")
    assert "+ create dataset group declared" in planned
    groups = engine.personalize.list_dataset_groups()["datasetGroups"]
    assert "declared" not in {group["name"] for group in groups}

    assert "no terminal to ask for confirmation" in commands.apply(BEFORE_DATA, status=1).lower()
    assert "Done." in commands.apply_in_a_process()
    assert "All resources are as the file declares." in commands.apply(BEFORE_DATA)

    # A campaign before there is data: the training says what to do.
    assert "no interactions to train on" in commands.apply(WITH_CAMPAIGN, "--yes", status=1)

    dataset = engine.personalize.list_datasets(
        datasetGroupArn="arn:aws:personalize:eu-west-1:000000000000:dataset-group/declared"
    )["datasets"][0]["datasetArn"]
    job = engine.personalize.create_dataset_import_job(
        jobName="declared",
        datasetArn=dataset,
        dataSource={"dataLocation": engine.put("declared.csv", interactions_csv())},
        roleArn=ROLE,
    )["datasetImportJobArn"]
    imported = engine.finished(engine.personalize.describe_dataset_import_job, datasetImportJobArn=job)
    assert imported["status"] == "ACTIVE"

    commands.apply(WITH_CAMPAIGN, "--yes")
    assert "All resources are as the file declares." in commands.apply(WITH_CAMPAIGN)

    exported = yaml.safe_load(commands.in_a_fork("export", "--group", "declared"))
    assert exported["datasetGroups"]["declared"]["solutions"]["declared"]["campaigns"]["declared"] == {
        "minProvisionedTPS": 1
    }
    assert exported["schemas"] == BEFORE_DATA["schemas"]
    assert "All resources are as the file declares." in commands.apply(exported)

    raised = exported
    raised["datasetGroups"]["declared"]["solutions"]["declared"]["campaigns"]["declared"] = {
        "minProvisionedTPS": 4
    }
    commands.apply(raised, "--yes")
    campaign = engine.personalize.describe_campaign(
        campaignArn="arn:aws:personalize:eu-west-1:000000000000:campaign/declared"
    )["campaign"]
    assert campaign["minProvisionedTPS"] == 4
    _follow(raised, engine, commands)


def _follow(document: Any, engine: Engine, commands: Commands) -> None:
    """Let the campaign that is there follow its solution: the next version is served by itself."""
    solution = document["datasetGroups"]["declared"]["solutions"]["declared"]
    solution["campaigns"]["declared"]["campaignConfig"] = {"syncWithLatestSolutionVersion": True}
    commands.apply(document, "--yes")
    assert "All resources are as the file declares." in commands.apply(document)

    version = new_version(engine, "arn:aws:personalize:eu-west-1:000000000000:solution/declared")

    campaign = engine.personalize.describe_campaign(
        campaignArn="arn:aws:personalize:eu-west-1:000000000000:campaign/declared"
    )["campaign"]
    assert campaign["solutionVersionArn"] == version


def test_incremental_updates_are_switched_in_a_file(engine: Engine, commands: Commands) -> None:
    def learning(*, perform: bool) -> dict[str, Any]:
        solution = {
            "recipe": "aws-semantic-similarity",
            "performAutoTraining": False,
            "performIncrementalUpdate": perform,
        }
        return {"datasetGroups": {"incremental": {"solutions": {"incremental": solution}}}}

    for perform in (True, False):
        commands.apply(learning(perform=perform), "--yes")
        assert "All resources are as the file declares." in commands.apply(learning(perform=perform))
        exported = commands.export("--group", "incremental")["datasetGroups"]["incremental"]
        assert exported["solutions"]["incremental"]["performIncrementalUpdate"] is perform
    assert "performIncrementalUpdate → True" in commands.apply(learning(perform=True), "--plan")


def test_a_conflict_stops_everything_before_anything_is_done(engine: Engine, commands: Commands) -> None:
    wrong = {
        "schemas": {"bootstrapped": {"schema": INTERACTIONS_SCHEMA}},
        "datasetGroups": {"default": {"eventTracker": "another"}},
    }

    said = commands.apply(wrong, "--yes", status=1)

    assert "! conflict event tracker another" in said
    schemas = engine.personalize.list_schemas()["schemas"]
    assert "bootstrapped" not in {schema["name"] for schema in schemas}


def test_a_file_that_is_none_is_said_so(commands: Commands) -> None:
    assert "colour" in commands.apply({"datasetGroups": {"shop": {"colour": "red"}}}, status=1)
    commands.file.write_text("a: [")
    assert "is not valid YAML" in commands.in_a_fork("apply", str(commands.file), status=1)
