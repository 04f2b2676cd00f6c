"""A process as an application: probes, error bodies, the order of parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import APIRouter

from shared.errors import ApiError, Transient
from shared.http.runtime import application


@dataclass
class Recorder:
    name: str
    diary: list[str] = field(default_factory=list)
    sick: str | None = None
    unready: str | None = None
    stops: bool = True

    async def start(self) -> None:
        self.diary.append(f"start {self.name}")

    async def stop(self) -> None:
        self.diary.append(f"stop {self.name}")
        if not self.stops:
            raise RuntimeError("it would not stop")

    def alive(self) -> str | None:
        return self.sick

    def ready(self) -> str | None:
        return self.unready


def client(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_parts_start_in_order_and_stop_in_reverse_even_when_one_refuses() -> None:
    diary: list[str] = []
    parts = [Recorder("pool", diary), Recorder("consumer", diary, stops=False), Recorder("relay", diary)]

    async with LifespanManager(application("test", parts=parts)):
        assert diary == ["start pool", "start consumer", "start relay"]

    assert diary[3:] == ["stop relay", "stop consumer", "stop pool"]


async def test_probes_name_the_part_that_fails() -> None:
    part = Recorder("consumer", unready="Kafka is away")
    async with client(application("test", parts=[part])) as http:
        live, ready = await http.get("/livez"), await http.get("/readyz")
        health = await http.get("/health")
        part.unready = None
        healthy = await http.get("/health")
        part.sick = "polling stalled"
        dead = await http.get("/livez")

    assert (live.status_code, ready.status_code, dead.status_code) == (200, 503, 503)
    assert (health.status_code, health.json()) == (503, {"status": "failing", "service": "test"})
    assert (healthy.status_code, healthy.json()) == (200, {"status": "healthy", "service": "test"})
    assert ready.json() == {"status": "failing", "checks": {"consumer": "Kafka is away"}}
    assert dead.json()["checks"] == {"consumer": "polling stalled"}


def routes() -> APIRouter:
    router = APIRouter()

    @router.get("/api-error")
    async def api_error() -> None:
        raise ApiError(404, "UnknownRun", "There is no run 7; GET /v1/runs lists them.")

    @router.get("/transient")
    async def transient() -> None:
        raise Transient("Kafka did not acknowledge within 2 s")

    @router.get("/postgres")
    async def postgres() -> None:
        raise ConnectionRefusedError("nobody listens")

    @router.get("/bug")
    async def bug() -> None:
        raise KeyError("secret detail")

    @router.get("/nul")
    async def nul() -> None:
        raise asyncpg.CharacterNotInRepertoireError('invalid byte sequence for encoding "UTF8": 0x00')

    @router.get("/beyond")
    async def beyond() -> None:
        raise asyncpg.DataError("invalid input for query argument $1: 2147483648 (value out of int32 range)")

    @router.get("/long")
    async def long() -> None:
        raise asyncpg.ProgramLimitExceededError("index row size 3008 exceeds btree version 4 maximum 2704")

    @router.get("/by-zero")
    async def by_zero() -> None:
        raise asyncpg.DivisionByZeroError("division by zero")

    @router.get("/typed/{number}")
    async def typed(number: int) -> int:
        return number

    return router


@pytest.mark.parametrize(
    ("path", "status", "code", "words"),
    [
        ("/api-error", 404, "UnknownRun", "There is no run 7"),
        ("/transient", 503, "Unavailable", "within 2 s"),
        ("/postgres", 503, "Unavailable", "Postgres is not reachable"),
        ("/bug", 500, "InternalError", "in the service's log"),
        ("/nul", 400, "InvalidRequest", "NUL character"),
        ("/beyond", 400, "InvalidRequest", "out of range"),
        ("/long", 400, "InvalidRequest", "at most 256 characters"),
        ("/by-zero", 500, "InternalError", "in the service's log"),
        ("/typed/seven", 400, "InvalidRequest", "path.number"),
        ("/nowhere", 404, "NotFound", "Not Found"),
    ],
)
async def test_every_error_has_the_one_shape(path: str, status: int, code: str, words: str) -> None:
    async with client(application("test", parts=[], routers=[routes()])) as http:
        answer = await http.get(path)

    assert answer.status_code == status
    assert answer.json().keys() == {"error", "detail"}
    assert answer.json()["error"] == code
    assert words in answer.json()["detail"]
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)
