"""Placements over HTTP, announced to the recommender, and in a file of resources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from shared.events import PlacementChanged
from shared.events.topics import PLACEMENTS
from shared.kafka import StateTable
from shared.settings import KafkaSettings
from tests.component.engine.conftest import Engine
from tests.support.deletions import until_deleted
from tests.support.engine import call
from tests.support.processes import Process
from tests.support.waiting import PATIENCE, eventually

FOR_YOU = {"strategies": [{"strategy": "for-you"}]}
REFUSED_EXPRESSION = {"rules": {"boosts": [{"where": "Items.PRICE < 1", "factor": 2}]}}


@pytest.fixture
def http(engine: Engine) -> Iterator[httpx.Client]:
    """A client with the administrator's key of the tenant `default`."""
    address, headers = f"{engine.server.url}/v1/placements", {"x-api-key": engine.keys["admin"]}
    with httpx.Client(base_url=address, headers=headers, timeout=PATIENCE) as client:
        yield client


def test_every_tenant_has_the_default_placements(http: httpx.Client) -> None:
    # httpx appends a slash to the base address, which is another path.
    answer = http.get(str(http.base_url).rstrip("/"))
    assert answer.status_code == 200, answer.text
    placements = {each["name"]: each for each in answer.json()["placements"]}

    assert {"home", "product", "cart", "category", "search", "order-confirmation", "email"} <= set(placements)
    assert placements["product"]["status"] == "default"
    assert placements["product"]["placement"]["strategies"][0]["strategy"] == "similar"
    assert http.get("/product").headers["etag"] == '"0"'


def test_a_placement_is_defined_changed_and_deleted(http: httpx.Client) -> None:
    created = http.put("/landing", json=FOR_YOU)
    again = http.put("/landing", json=FOR_YOU)
    changed = http.put("/landing", json=FOR_YOU | {"limit": 4}, headers={"if-match": created.headers["etag"]})
    late = http.put("/landing", json=FOR_YOU | {"limit": 5}, headers={"if-match": created.headers["etag"]})
    read = http.get("/landing").json()

    assert (created.status_code, created.json()["revision"]) == (201, 1)
    assert (again.status_code, again.json()["revision"]) == (200, 1)
    assert (changed.status_code, changed.json()["revision"]) == (200, 2)
    assert (late.status_code, late.json()["error"]) == (412, "RevisionConflict")
    assert (read["placement"]["limit"], read["status"]) == (4, "defined")
    assert http.delete("/landing", headers={"if-match": '"1"'}).status_code == 412
    assert http.delete("/landing").status_code == 204
    assert http.delete("/landing").status_code == 404
    assert http.get("/landing").status_code == 404
    assert http.put("/landing", json=FOR_YOU).json()["revision"] == 4


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"strategies": []}, "strategies"),
        (FOR_YOU | {"colour": "red"}, "colour"),
        (FOR_YOU | REFUSED_EXPRESSION, "rules.boosts[0].where"),
        (FOR_YOU | {"filters": [{"name": "missing"}]}, "there is no filter 'missing'"),
        ([], "InvalidRequest"),
    ],
)
def test_an_invalid_definition_is_refused_and_changes_nothing(
    http: httpx.Client, body: Any, reason: str
) -> None:
    answer = http.put("/refused", json=body)

    assert answer.status_code == 400
    assert reason in answer.text
    assert http.get("/refused").status_code == 404


def test_the_name_of_a_placement_is_part_of_a_path(http: httpx.Client) -> None:
    assert http.put("/Home%20page", json=FOR_YOU).status_code == 400
    assert http.put("/" + "a" * 64, json=FOR_YOU).status_code == 400


def test_only_an_administrator_defines_placements(engine: Engine) -> None:
    answer = httpx.put(
        f"{engine.server.url}/v1/placements/home", json=FOR_YOU, headers={"x-api-key": engine.keys["read"]}
    )

    assert answer.status_code == 403


async def test_changes_are_announced_and_the_end_of_a_dataset_group_withdraws_its_placements(
    engine: Engine, worker: Process, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    announced = StateTable[PlacementChanged](kafka_settings, PLACEMENTS)
    await announced.start()
    try:
        shop = {"datasetGroups": {"placed": {"placements": {"home": FOR_YOU, "cart": FOR_YOU}}}}
        apply(engine, tmp_path, shop)
        await eventually(lambda: {"placed:home", "placed:cart"} <= announced.states.keys())
        assert announced.states["placed:home"].revision == 1

        shop["datasetGroups"]["placed"]["placements"]["home"] = FOR_YOU | {"limit": 3}
        assert "~ update placement placed/home" in apply(engine, tmp_path, shop)
        assert "All resources are as the file declares." in apply(engine, tmp_path, shop)
        await eventually(lambda: announced.states["placed:home"].placement.limit == 3)
        assert (
            exported(engine)["datasetGroups"]["placed"]["placements"]
            == (shop["datasetGroups"]["placed"]["placements"])
        )

        group = "arn:aws:personalize:eu-west-1:000000000000:dataset-group/placed"
        engine.personalize.delete_dataset_group(datasetGroupArn=group)
        until_deleted(engine.personalize.describe_dataset_group, datasetGroupArn=group)
        await eventually(lambda: not {"placed:home", "placed:cart"} & announced.states.keys())
    finally:
        await announced.stop()


def environment(engine: Engine) -> dict[str, str]:
    return engine.environment | {
        "AWS_ENDPOINT_URL_PERSONALIZE": engine.server.url,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": engine.keys["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": engine.keys["secret_access_key"],
    }


def apply(engine: Engine, folder: Path, document: Any) -> str:
    file = folder / "resources.yaml"
    file.write_text(yaml.safe_dump(document))
    done = call("apply", str(file), "--yes", environment=environment(engine))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def exported(engine: Engine) -> Any:
    done = call("export", "--group", "placed", environment=environment(engine))
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)
