"""A loaded shop for tests: its files, its storefront, its operators, its database."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import asyncpg
import boto3
import httpx
import pytest
import redis

from deploy.local.load import load
from deploy.local.shop import write_shop
from tests.support.product import Endcap
from tests.support.waiting import PATIENCE, until

_RECOMMENDATIONS = "/api/v1/personalize/recommendations"


class Shop:
    """The shop in `folder`, loaded into the running product."""

    def __init__(self, endcap: Endcap, folder: Path) -> None:
        self.endcap = endcap
        self.folder = folder
        self.http = httpx.Client(timeout=PATIENCE, trust_env=False)

    def __enter__(self) -> Self:
        """Return the shop."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.http.close()

    def rows(self, kind: str) -> list[dict[str, str]]:
        """Return the rows of one of its files."""
        with (self.folder / f"{kind}.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def call(
        self, method: str, service: str, path: str, *, key: str = "admin", **options: Any
    ) -> httpx.Response:
        """Send a request with one of the keys: ingest, read or admin."""
        headers = {"x-api-key": self.endcap.keys[key], **options.pop("headers", {})}
        return self.http.request(method, f"{self.endcap.urls[service]}{path}", headers=headers, **options)

    def get(self, service: str, path: str, *, key: str = "admin", **options: Any) -> Any:
        """Return the JSON of a GET whose status must be 200."""
        response = self.call("GET", service, path, key=key, **options)
        assert response.status_code == 200, f"GET {path}: {response.status_code} {response.text}"
        return response.json()

    def experiments(self) -> dict[str, int]:
        """Return the running experiments that the recommender knows, with their versions."""
        status = self.get("recommender", "/api/v1/personalize/status", key="read")
        return dict(status["experiments"])

    def recommendations(self, user: str, *, service: str = "router", **query: Any) -> Any:
        """Return the recommendations for a user."""
        path = f"{_RECOMMENDATIONS}/{quote(user, safe='')}"
        return self.get(service, path, key="read", params=query)

    def similar(self, item: str, **query: Any) -> Any:
        """Return the items similar to an item."""
        path = f"{_RECOMMENDATIONS}/similar/{quote(item, safe='')}"
        return self.get("router", path, key="read", params=query)

    def by_location(self, **place: str) -> Any:
        """Return the recommendations for a place."""
        return self.get("router", f"{_RECOMMENDATIONS}/by-location", key="read", params=place)

    def send(self, *events: dict[str, Any]) -> httpx.Response:
        """Send events as a storefront does."""
        return self.call("POST", "tracker", "/v1/events", key="ingest", json=list(events))

    def import_file(self, kind: str, path: Path) -> Any:
        """Import a file and wait until its rows are on Kafka; return the state of the import."""
        with path.open("rb") as file:
            response = self.call(
                "POST", "sync", "/v1/imports", data={"kind": kind}, files={"file": (path.name, file)}
            )
        assert response.status_code == 202, response.text
        address = f"/v1/imports/{response.json()['id']}"

        return until(
            lambda: self.get("sync", address),
            f"the import of {path.name} ended",
            enough=lambda state: state["status"] == "failed" or state["relayed"],
        )

    def train(self) -> Any:
        """Start a training run and wait for its end; return the run."""
        response = self.call("POST", "trainer", "/v1/runs", json={"reason": "test"})
        assert response.status_code == 202, response.text
        return self.wait_for_run(response.json()["id"])

    def wait_for_run(self, number: int) -> Any:
        """Wait for a run to end; return it."""
        return until(
            lambda: self.get("trainer", f"/v1/runs/{number}"),
            f"run {number} ended",
            enough=lambda run: run["status"] in {"completed", "failed"},
        )

    def wait_for_generation(self, number: int) -> Any:
        """Wait until a generation is active in Postgres and served by the recommender; return it."""
        user = self.buyer()
        generation = until(
            lambda: self.get("loader", f"/v1/generations/{number}"),
            f"generation {number} is active",
            enough=lambda generation: bool(generation["active"]),
        )
        until(
            lambda: self.recommendations(user, service="recommender")["generation"] == number,
            f"the recommender answers from generation {number}",
        )
        return generation

    def buyer(self, number: int = 0) -> str:
        """Return the id of one of the customers with the most order lines."""
        return self._buyers[number]

    @cached_property
    def _buyers(self) -> list[str]:
        """Return the ids of all customers; those with the most order lines come first."""
        lines = Counter(row["user_id"] for row in self.rows("orders") if row["user_id"])
        return sorted(lines, key=lambda user: (-lines[user], user))

    async def query(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Return the rows of a query that the database's administrator runs."""
        connection = await asyncpg.connect(self.endcap.environment["DATABASE_URL"])
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    def redis_keys(self, identifier: str) -> list[str]:
        """Return the Redis keys that end with an id."""
        with redis.Redis.from_url(self.endcap.environment["REDIS_URL"]) as client:
            keys: list[bytes] = list(client.scan_iter(match=f"*:{identifier}", count=10_000))
        return [key.decode() for key in keys]

    def boto3(self, service: str) -> Any:
        """Return an unmodified boto3 client with the variables of `make env` as arguments."""
        environment = self.endcap.environment
        make: Callable[..., Any] = boto3.client
        return make(
            service,
            endpoint_url=environment[f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )


@pytest.fixture(scope="session")
def shop(endcap: Endcap) -> Iterator[Shop]:
    """Yield the generated shop, from its files to served recommendations; one for the whole run."""
    # A seventh of the shop that `make run` loads: several trainings of it are part of these tests.
    folder = write_shop(endcap.stack.root / "shop", customer_count=300)
    load(endcap.stack, folder)
    with Shop(endcap, folder) as loaded:
        yield loaded
