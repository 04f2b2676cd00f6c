"""Clients of AWS AppSync against Endcap: they know another URL and another key, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.product import Endcap
from tests.support.waiting import PATIENCE

PROGRAM = Path(__file__).with_name("graphql") / "client.mjs"
QUERY = "query($u: String!) { getRecommendations(userId: $u) { items { itemId category } } }"


def run_program(folder: Path, url: str, key: str, user: str) -> Any:
    """Run the JavaScript program beside the packages that it imports, and return what it prints."""
    program = shutil.copy(PROGRAM, folder)
    environment = {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        ["node", str(program), url, key, user],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("service", ["recommender", "router"])
def test_the_clients_of_appsync_run_unchanged(endcap: Endcap, graphql_clients: Path, service: str) -> None:
    user = f"u-{uuid.uuid4().hex[:8]}"

    result = run_program(graphql_clients, f"{endcap.urls[service]}/graphql", endcap.keys["admin"], user)

    item = result["put"]
    assert {**item, "timestamp": 0} == {
        "userId": user,
        "itemId": "put by appsync",
        "score": 1000,
        "category": "shoes",
        "timestamp": 0,
        "__typename": "Recommendation",
    }
    assert item in result["appsync"]["items"]
    assert {name: item[name] for name in item if name != "__typename"} in result["amplify"]["items"]
    assert result["fieldError"]["errorType"] == "BadRequestException"
    assert result["fieldError"]["path"] == ["getRecommendations"]
    assert result["unauthorized"] == {
        "status": 401,
        "body": {
            "errors": [
                {
                    "errorType": "UnauthorizedException",
                    "message": "You are not authorized to make this call.",
                }
            ]
        },
    }
    assert result["invalid"]["message"].startswith("Validation error of type FieldUndefined: Field 'missing'")


def test_a_plain_post_needs_no_client(endcap: Endcap) -> None:
    user = f"u-{uuid.uuid4().hex[:8]}"
    body = {"query": QUERY, "variables": {"u": user}}

    for service in ("recommender", "router"):
        answer = httpx.post(
            f"{endcap.urls[service]}/graphql", json=body, headers={"x-api-key": endcap.keys["read"]}
        )
        assert answer.status_code == 200
        assert "errors" not in answer.json()
