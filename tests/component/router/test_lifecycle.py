"""The states of an experiment: changes, conflicts, layers, forced units, disabled variants and the log."""

from __future__ import annotations

import json
from typing import Any

from shared.events import UserErasureRequested
from shared.events.topics import ERASURES, EXPERIMENTS
from tests.component.router.experiments import AB, run
from tests.support.kafka import raw_records
from tests.support.waiting import eventually


class Api:
    """Calls of the administrator."""

    def __init__(self, caller: Any, world: Any) -> None:
        self.caller, self.headers = caller, world.admin

    async def __call__(self, path: str, body: Any = None, method: str = "POST", **headers: str) -> Any:
        return await self.caller.request(
            method, f"/v1/experiments{path}", json=body, headers=self.headers | headers
        )


async def test_an_experiment_is_paused_decided_and_archived_with_a_log(world: Any) -> None:
    async with world.router() as caller:
        api = Api(caller, world)
        await run(caller, world, AB)
        paused = await api("/affinity/pause")
        resumed = await api("/affinity/start")
        unknown = await api("/affinity/decide", {"variant": "none", "reason": "?"})
        decided = await api("/affinity/decide", {"variant": "treatment", "reason": "It sold more."})
        again = await api("/affinity/start")
        archived = await api("/affinity/archive")
        listed = (await api("", method="GET")).json()
        all_listed = (await api("?archived=1", method="GET")).json()
        log = (await api("/affinity/changes", method="GET")).json()
        missing = await api("/nothing/changes", method="GET")

    assert (paused.json()["status"], resumed.json()["status"]) == ("paused", "running")
    assert (unknown.status_code, unknown.json()["error"]) == (400, "UnknownVariant")
    decision = decided.json()["decision"]
    assert (decision["variant"], decision["reason"]) == ("treatment", "It sold more.")
    assert decided.json()["stopped_at"] is not None
    assert (again.status_code, again.json()["error"]) == (409, "WrongState")
    assert archived.json()["decision"] == decision
    assert (listed, [each["name"] for each in all_listed]) == ([], ["affinity"])
    assert [each["change"] for each in log] == ["archive", "decide", "start", "pause", "start", "define"]
    assert log[1]["details"] == {
        "before": "running",
        "after": "decided",
        "variant": "treatment",
        "reason": "It sold more.",
    }
    assert log[0]["actor"] == log[-1]["actor"] == decision["decided_by"]
    assert missing.status_code == 404


async def test_a_change_on_another_revision_is_refused(world: Any) -> None:
    async with world.router() as caller:
        api = Api(caller, world)
        first = await api("", AB)
        etag = first.headers["etag"]
        await api("/affinity/start", **{"if-match": etag})
        late = await api("/affinity/stop", **{"if-match": etag})
        wider = await api("", AB | {"traffic": 0.5}, **{"if-match": etag})
        invalid = await api("/affinity/stop", **{"if-match": "tuesday"})
        current = await api("/affinity", method="GET")
        draft = await api("", AB | {"traffic": 0.5}, **{"if-match": current.headers["etag"]})
        # A pause of the running version is a change of the experiment, whose newest version is a draft.
        await api("/affinity/pause")
        stale = await api("/affinity/start", **{"if-match": draft.headers["etag"]})

    assert (late.status_code, late.json()["error"]) == (412, "Changed")
    assert "version 1 and revision 2" in late.json()["detail"]
    assert (wider.status_code, invalid.status_code, draft.status_code) == (412, 400, 201)
    assert stale.status_code == 412


async def test_segments_of_a_layer_share_a_surface_and_exclude_each_other(world: Any) -> None:
    def segment(name: str, start: float, end: float, surface: str = "recommendations") -> dict[str, Any]:
        return AB | {
            "name": name,
            "surface": surface,
            "layer": {"name": "home", "start": start, "end": end},
        }

    async with world.router() as caller:
        api = Api(caller, world)
        await run(caller, world, segment("left", 0, 0.5))
        await run(caller, world, segment("right", 0.5, 1))
        await api("", segment("elsewhere", 0.4, 0.6, "item-affinity"))
        await api("", AB | {"name": "everywhere"})
        overlapping, taken = await api("/elsewhere/start"), await api("/everywhere/start")
        await api("/left/pause")
        await api("/right/stop")
        async with world.router(cool_down_days=7) as cooling:
            cooled = await Api(cooling, world)("/elsewhere/start")
            resumed = await Api(cooling, world)("/left/start")
            await Api(cooling, world)("/left/pause")
        free = await api("/elsewhere/start")

    assert (overlapping.status_code, overlapping.json()["error"]) == (409, "SegmentTaken")
    assert (taken.status_code, taken.json()["error"]) == (409, "SurfaceTaken")
    assert (cooled.status_code, cooled.json()["error"]) == (409, "SegmentCoolsDown")
    assert "right had units of this segment" in cooled.json()["detail"]
    assert (resumed.status_code, free.status_code) == (200, 200)


async def test_forced_units_and_disabled_variants_are_published_and_erased(world: Any) -> None:
    async with world.router() as caller, world.worker():
        api = Api(caller, world)
        await run(caller, world, AB)
        wrong = await api("/affinity/forced", {"units": {"tester": "gone"}}, "PUT")
        forced = await api("/affinity/forced", {"units": {"tester": "treatment", "u7": "control"}}, "PUT")
        disabled = await api("/affinity/variants/treatment/disable")
        missing = await api("/affinity/variants/gone/disable")
        dry = (await api("/affinity/split", {"sample": 1_000, "units": ["tester", "u1"]})).json()
        await world.publish(ERASURES, erasure(world, "tester"))

        async def states() -> list[tuple[dict[str, str], list[str]]]:
            records = await raw_records(world.kafka, EXPERIMENTS.name)
            events = [json.loads(record.value) for record in records]
            own = [event for event in events if event["tenant"] == world.tenant]
            return [(event["forced"], event["disabled"]) for event in own]

        expected = [
            ({}, []),
            ({"tester": "treatment", "u7": "control"}, []),
            ({"tester": "treatment", "u7": "control"}, ["treatment"]),
            ({"u7": "control"}, ["treatment"]),
        ]
        await eventually(states, enough=lambda rows: rows == expected)

    assert (wrong.status_code, forced.status_code, missing.status_code) == (400, 200, 404)
    assert disabled.json()["disabled"] == ["treatment"]
    assert dry["variants"]["treatment"] == 0
    assert dry["variants"]["control"] + dry["outside"] == 1_000
    assert dry["units"]["tester"] == "treatment"


def erasure(world: Any, user: str) -> UserErasureRequested:
    now = world.purchase(user).occurred_at
    return UserErasureRequested(
        event_id=f"erase-{user}",
        tenant=world.tenant,
        occurred_at=now,
        erasure_id=f"erase-{user}",
        user_id=user,
    )
