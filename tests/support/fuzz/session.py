"""Sends the inputs of one service over one kept connection, and judges each answer."""

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
_OF_THE_STATE = frozenset(
    (b"ResourceInUseException", b"ResourceAlreadyExistsException", b"LimitExceededException")
)
_HANGS_UP = frozenset((408, 413, 414, 431))
"""After these a server may close the connection: the client may go on to send what nobody reads."""
_INSIDES = re.compile(r"asyncpg|Traceback|codec can't|object has no attribute|/site-packages/|\bNoneType\b")
_PROBE = b"GET /livez HTTP/1.1\r\nhost: fuzz\r\n\r\n"
_RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Fault:
    """An input that was answered wrongly."""

    request: Request
    status: int
    problem: str
    detail: str

    @property
    def kind(self) -> tuple[str, str, str]:
        """Faults of the same kind are reported once."""
        return self.request.target, self.problem, self.detail.rpartition("\n")[2][:60]


@dataclass
class Tally:
    """What came of the inputs."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    wrong: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How many faults there are of each kind."""

    def is_new(self, fault: Fault) -> bool:
        """Whether no fault of its kind is known; also counts it."""
        self.wrong[fault.kind] += 1
        return self.wrong[fault.kind] == 1

    @property
    def inputs(self) -> int:
        """How many there were."""
        return self.statuses.total()

    reached: set[str] = field(default_factory=set)
    """Targets that took a request, or refused it only for the state of a resource."""


@dataclass
class Session:
    """One connection to one service. `explain` returns what its log has of an unexpected error."""

    host: str
    port: int
    explain: Callable[[], str]
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._connection = Connection(self.host, self.port)

    async def run(self, requests: Iterable[Request]) -> None:
        """Send every request; what is wrong with an answer becomes a fault of the tally."""
        try:
            for request in requests:
                fault = await self._judge(request)
                if fault is not None and self.tally.is_new(fault):
                    self.tally.faults.append(await self._reduced(fault))
        finally:
            await self._connection.close()

    async def _reduced(self, fault: Fault) -> Fault:
        """Return the fault with the smallest request for which the problem is the same."""
        reduced = fault

        async def is_wrong(request: Request) -> bool:
            nonlocal reduced
            found = await self._judge(request)
            if found is None or found.problem != fault.problem:
                return False
            reduced = found
            return True

        await smallest(fault.request, is_wrong)
        return reduced

    async def _judge(self, request: Request) -> Fault | None:
        """Send a request, and a probe after it on the same connection; return what is wrong."""
        try:
            answer = await self._answer(request)
        except ConnectionBroken as error:
            self.tally.statuses[request.target, 0] += 1
            if request.is_malformed:
                return None
            return Fault(request, 0, "no usable answer", f"{error} {self.explain()}")
        except TimeoutError:
            await self._connection.close()
            self.tally.statuses[request.target, 0] += 1
            return None if request.is_malformed else Fault(request, 0, "no answer in time", self.explain())
        self.tally.statuses[request.target, answer.status] += 1
        if answer.status < 300 or answer.status == 409 or answer.header(b"x-amzn-errortype") in _OF_THE_STATE:
            self.tally.reached.add(request.target)
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
        if answer.status == 503 and answer.header(b"retry-after"):
            # A busy machine: clients send the same again. What is deterministic stays a 503.
            await asyncio.sleep(_RETRY_SECONDS)
            answer = await self._connection.send(wire)
        return answer

    async def _probe(self, request: Request, answer: Answer) -> Fault | None:
        if answer.closes:
            await self._connection.close()
            return (
                None
                if answer.status in _HANGS_UP
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
    if not isinstance(body, dict) or not any(shape <= body.keys() for shape in _SHAPES):
        return "not the documented shape of an error"
    sentence = body.get("detail") or body.get("message")
    if not isinstance(sentence, str) or not sentence.strip():
        return "no sentence"
    return "tells of its insides" if _INSIDES.search(sentence) else ""
