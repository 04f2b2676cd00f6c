"""Sends the inputs of one service over one persistent connection, and checks each response."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import orjson

from tests.support.fuzz.connection import Answer, Connection, ConnectionBroken
from tests.support.fuzz.requests import Request
from tests.support.fuzz.shrinking import smallest

_SHAPES = ({"error", "detail"}, {"__type", "message"})
_STATE_ERRORS = frozenset(
    (b"ResourceInUseException", b"ResourceAlreadyExistsException", b"LimitExceededException")
)
_CLOSING_STATUSES = frozenset((408, 413, 414, 431))
"""Statuses after which a server may close the connection: the client may still be sending."""
_INTERNALS = re.compile(r"asyncpg|Traceback|codec can't|object has no attribute|/site-packages/|\bNoneType\b")
_PROBE = b"GET /livez HTTP/1.1\r\nhost: fuzz\r\n\r\n"
_RETRY_SECONDS = (1.0, 3.0, 10.0)
_NOT_READY = b'"ReportNotReady"'
"""In a 503 for a report that nobody asked for before: no worker runs here that would compute it."""


@dataclass(frozen=True)
class Fault:
    """An input with a wrong response."""

    request: Request
    status: int
    problem: str
    detail: str

    @property
    def kind(self) -> tuple[str, str, str]:
        """Return a key: only the first fault of each kind is reported."""
        return self.request.target, self.problem, self.detail.rpartition("\n")[2][:60]


@dataclass
class FuzzResults:
    """The results of the inputs."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    wrong: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """The number of faults of each kind."""

    def is_new(self, fault: Fault) -> bool:
        """Count a fault; return whether it is the first of its kind."""
        self.wrong[fault.kind] += 1
        return self.wrong[fault.kind] == 1

    @property
    def inputs(self) -> int:
        """Return the number of inputs."""
        return self.statuses.total()

    reached: set[str] = field(default_factory=set)
    """Targets that accepted a request, or refused it only because of the state of a resource."""


@dataclass
class Session:
    """One connection to one service. `explain` returns the unexpected errors in its log."""

    host: str
    port: int
    explain: Callable[[], str]
    results: FuzzResults = field(default_factory=FuzzResults)

    def __post_init__(self) -> None:
        self._connection = Connection(self.host, self.port)

    async def run(self, requests: Iterable[Request]) -> None:
        """Send every request; a wrong answer adds a fault to the results."""
        try:
            for request in requests:
                fault = await self._check(request)
                if fault is not None and self.results.is_new(fault):
                    self.results.faults.append(await self._reduced(fault))
        finally:
            await self._connection.close()

    async def _reduced(self, fault: Fault) -> Fault:
        """Return the fault with the smallest request for which the problem is the same."""
        reduced = fault

        async def is_wrong(request: Request) -> bool:
            nonlocal reduced
            candidate = await self._check(request)
            if candidate is None or candidate.problem != fault.problem:
                return False
            reduced = candidate
            return True

        await smallest(fault.request, is_wrong)
        return reduced

    async def _check(self, request: Request) -> Fault | None:
        """Send a request, and then a probe on the same connection; return the fault, if there is one."""
        try:
            answer = await self._answer(request)
        except ConnectionBroken as error:
            self.results.statuses[request.target, 0] += 1
            if request.is_malformed:
                return None
            return Fault(request, 0, "no usable answer", f"{error} {self.explain()}")
        except TimeoutError:
            await self._connection.close()
            self.results.statuses[request.target, 0] += 1
            return None if request.is_malformed else Fault(request, 0, "no answer in time", self.explain())
        self.results.statuses[request.target, answer.status] += 1
        if answer.status < 300 or answer.status == 409 or answer.header(b"x-amzn-errortype") in _STATE_ERRORS:
            self.results.reached.add(request.target)
        problem = _problem(request, answer)
        if problem:
            await self._connection.close()
            why = self.explain() if answer.status >= 500 else ""
            return Fault(request, answer.status, problem, f"{answer.body[:300]!r} {why}")
        if request.is_malformed:
            await self._connection.close()
            return None
        return await self._probe(request, answer) if answer.status >= 400 else None

    async def _answer(self, request: Request) -> Answer:
        wire = request.wire(f"{self.host}:{self.port}")
        answer = await self._connection.send(wire)
        for pause in _RETRY_SECONDS:
            if answer.status != 503 or not answer.header(b"retry-after") or _NOT_READY in answer.body:
                break
            # A busy machine: retry as clients do. A deterministic fault stays a 503.
            await asyncio.sleep(pause)
            answer = await self._connection.send(wire)
        return answer

    async def _probe(self, request: Request, answer: Answer) -> Fault | None:
        if answer.closes:
            await self._connection.close()
            return (
                None
                if answer.status in _CLOSING_STATUSES
                else Fault(request, answer.status, "closes the connection", f"{answer.body[:300]!r}")
            )
        try:
            probe = await self._connection.send(_PROBE)
        except ConnectionBroken as error:
            return Fault(request, answer.status, "broke the connection", str(error))
        if probe.status != 200 or not probe.body.startswith(b'{"status":'):
            await self._connection.close()
            return Fault(request, answer.status, "confused the connection", f"{probe.body[:300]!r}")
        return None


def _problem(request: Request, answer: Answer) -> str:
    if answer.status == 503 and _NOT_READY in answer.body:
        return ""
    if answer.status >= 500:
        return f"status {answer.status}"
    if answer.status < 400 or request.is_malformed or request.method == "OPTIONS":
        return ""
    return _problem_of_a_refusal(answer.body)


def _problem_of_a_refusal(content: bytes) -> str:
    try:
        body = orjson.loads(content)
    except ValueError:
        return "no JSON"
    if isinstance(body, dict) and isinstance(body.get("errors"), list) and body["errors"]:
        body = {"__type": "", **body["errors"][0]}  # GraphQL, as AWS AppSync
    if not isinstance(body, dict) or not any(shape <= body.keys() for shape in _SHAPES):
        return "not the documented shape of an error"
    sentence = body.get("detail") or body.get("message")
    if not isinstance(sentence, str) or not sentence.strip():
        return "no sentence"
    return "exposes internals" if _INTERNALS.search(sentence) else ""
