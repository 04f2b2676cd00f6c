"""Bad input to every route and operation: a 4xx with a sentence, and the connection stays usable."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import orjson

from deploy.local.ports import SERVICES
from tests.component.fuzz import names
from tests.component.fuzz.installation import Installation
from tests.support.fuzz import INPUTS, SEED
from tests.support.fuzz.documents import paths
from tests.support.fuzz.mutations import mutated
from tests.support.fuzz.requests import KeyPair, Request
from tests.support.fuzz.session import FuzzResults, Session
from tests.support.fuzz.targets import Callers, Known, Target, operations, routes
from tests.support.processes import Process
from tests.support.tenants import SERVICE_KEY

_NOBODY = Callers(b"", b"", b"", KeyPair("", ""))

HTTP_SHARE = 0.7
"""Of the inputs of a run; the rest are Kafka records."""

VALID_INPUTS = 10
"""Inputs of a target without a change, at most, while none of them is taken."""

SIGNED = {
    "recommender GET /v1/recommendations/{recommendation_id}",
    "sync POST /v1/webhooks/{source_id}",
}
"""The routes whose valid requests need a signed id of an answer, or a signature: no made-up one is taken."""


async def test_every_bad_request_is_refused_with_a_sentence(
    installation: Installation, made: dict[str, str]
) -> None:
    tenant = installation.tenant
    callers = Callers(
        admin=tenant.admin.encode(),
        service=SERVICE_KEY.encode(),
        tenant=tenant.name.encode(),
        pair=KeyPair(tenant.access_key_id, tenant.secret_access_key),
    )
    tokens = {
        kind: installation.call(f"List{kind.title()}", maxResults=1)["nextToken"]
        for kind in ("schemas", "campaigns")
    }
    known, exceptions = names.known(made, tenant.tracking_id), names.exceptions(made, tokens)
    targets = [*routes(), *operations()]
    values = {target.name: {**known, **exceptions.get(target.name, {})} for target in targets}
    shares = {target.name: _share(target, known) for target in targets}
    each = INPUTS * HTTP_SHARE / sum(shares.values())
    counts = {name: max(1, round(share * each)) for name, share in shares.items()}
    results = FuzzResults()
    sessions = []
    for service in SERVICES:
        address = urlsplit(installation.services[service].url)
        session = Session(
            address.hostname or "", address.port or 0, _log(installation.services[service]), results
        )
        own = [target for target in targets if target.service == service]
        sessions.append(session.run(_inputs(own, counts, values, callers, results.reached)))
    began = time.perf_counter()
    await asyncio.gather(*sessions)
    sys.stdout.write(_report(results, time.perf_counter() - began))

    assert not results.faults
    if INPUTS >= 10_000:
        unreached = {target.name for target in targets if not target.is_declined} - results.reached
        unreached -= SIGNED
        assert not unreached, "no request of these was ever taken, so no change of one reaches their depth"


def _share(target: Target, known: Known) -> float:
    """How many inputs a target gets beside others: the more there is in its requests, the more."""
    request = target.valid(known, _NOBODY, Random(0))
    members = len(list(paths(request.document))) if request.encoding != "none" else 0
    return 2 + len(request.in_path) * 3 + len(request.query) + members / 4


def _inputs(
    targets: list[Target],
    counts: Mapping[str, int],
    values: Mapping[str, Known],
    callers: Callers,
    reached: Collection[str],
) -> Iterator[Request]:
    """The targets in turn, so that what one changes is met by the others.

    The first inputs of a target are valid, until one is taken: optional members may exclude each other.
    """
    random = Random(f"{SEED} {targets[0].service}")
    for turn in range(max(counts.values())):
        for target in targets:
            if turn < counts[target.name]:
                request = target.valid(values[target.name], callers, random)
                is_valid = turn == 0 or (turn < VALID_INPUTS and target.name not in reached)
                yield request if is_valid else mutated(request, random)


def _log(process: Process) -> Callable[[], str]:
    """Return a function that gives the exceptions in the log since it was called before."""
    seen = 0

    def written() -> str:
        nonlocal seen
        with Path(process.log).open("rb") as log:
            log.seek(seen)
            text = log.read().decode(errors="replace")
            seen = log.tell()
        return "\n".join(_exceptions(text))

    return written


def _exceptions(log: str) -> Iterator[str]:
    """The last frames of our own code, and the error itself."""
    for line in log.splitlines():
        if '"exception"' in line:
            frames = str(orjson.loads(line)["exception"]).splitlines()
            own = [frame.strip() for frame in frames if "/services/" in frame or "/shared/" in frame]
            yield "\n".join([*own[-4:], frames[-1][:600]])


def _report(results: FuzzResults, seconds: float) -> str:
    by_status = Counter[int]()
    for (_, status), count in results.statuses.items():
        by_status[status] += count
    lines = [f"seed {SEED}: {results.inputs} inputs in {seconds:.0f} s; {dict(sorted(by_status.items()))}"]
    targets = sorted({target for target, _ in results.statuses})
    for target in targets:
        statuses = {
            status: count for (name, status), count in sorted(results.statuses.items()) if name == target
        }
        lines.append(f"  {target}: {statuses}")
    for fault in results.faults:
        lines += [
            f"\n{fault.problem} ({fault.status}; {results.wrong[fault.kind]} times; seed {SEED})",
            fault.request.described(),
            fault.detail[-1_500:],
        ]
    return "\n".join(lines)
