"""Pages without and with answers of other services: never a 500, and what the answers say."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from services.dashboard.domain.appearances import appearance, rules_of
from services.dashboard.domain.generations import compared, durations, serving
from services.dashboard.store.audit_log import AuditLog
from services.dashboard.store.sessions import Person
from tests.unit.dashboard.site import CSRF, absent, browser
from tests.unit.dashboard.test_permissions import existing

ANN = Person("ann", "shop", "admin")
PLACES = {
    "name": "home",
    "run": "7",
    "generation": "7",
    "recommendation_id": "rid-1",
    "letter_id": "t-dlq.0.1",
}
QUERIES = {
    "/dashboard/customers": "?user_id=c-1",
    "/dashboard/customers/similar": "?user_id=c-1",
    "/dashboard/items": "?id=p-1",
    "/dashboard/training/compare": "?a=1&b=2",
}


def path_of(name: str) -> str:
    path = re.sub(r"{(\w+)}", lambda match: PLACES.get(match[1], "1"), name.split(" ")[1])
    return path + QUERIES.get(path, "")


async def test_a_page_is_shown_while_every_service_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = {}
    async with browser(monkeypatch, ANN, absent) as client:
        for name in existing():
            method = name.split(" ", maxsplit=1)[0]
            form = {"csrf": CSRF} if method == "POST" else None
            statuses[name] = (await client.request(method, path_of(name), data=form)).status_code

    assert {*statuses.values()} <= {200, 303, 400, 401, 404, 503}, statuses


async def test_a_refusal_of_a_service_is_shown_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [b"null", b"[]", b"{}", b"not json", b'{"error":"X","detail":"<i>why</i>"}']
    body = bodies[0]

    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(403, content=body, headers={"content-type": "application/json"})

    async with browser(monkeypatch, ANN, refuse) as client:
        for body in bodies:
            for name in existing():
                if name.startswith("GET"):
                    answer = await client.get(path_of(name), follow_redirects=True)
                    assert answer.status_code in {200, 404}, (name, body)
                    assert "<i>why</i>" not in answer.text


class Engine:
    """The engine's placement `home`, of which somebody else saves revision 4."""

    def __init__(self) -> None:
        self.revision = 3
        self.saved: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.port != 8007:
            return httpx.Response(404, json={"error": "Unknown", "detail": "nothing here"})
        headers = {"etag": f'"{self.revision}"'}
        if request.method == "PUT":
            if request.headers["if-match"] != headers["etag"]:
                return httpx.Response(412, json={"error": "Changed", "detail": "another revision"})
            self.saved.append(dict(request.headers))
            self.revision += 1
        body = {
            "name": "home",
            "revision": self.revision,
            "status": "defined",
            "changed_at": None,
            "placement": {"strategies": [{"strategy": "for-you"}], "limit": self.revision},
        }
        return httpx.Response(200, json=body, headers=headers)


async def test_a_draft_is_saved_for_its_revision_and_a_conflict_keeps_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine()
    draft = '{"strategies": [{"strategy": "trending"}], "limit": 3}'
    async with browser(monkeypatch, ANN, engine) as client:
        page = await client.get("/dashboard/placements/home")
        etag = re.search(r'name="etag" value="([^"]+)"', page.text)
        assert etag is not None
        form = {"csrf": CSRF, "etag": etag[1].replace("&#34;", '"'), "definition": draft}
        engine.revision = 4
        conflict = await client.post("/dashboard/placements/home", data=form)
        etag = re.search(r'name="etag" value="([^"]+)"', conflict.text)
        assert etag is not None
        form["etag"] = etag[1].replace("&#34;", '"')
        saved = await client.post("/dashboard/placements/home", data=form)

    assert conflict.status_code == 409
    assert "Somebody saved revision 4" in conflict.text
    assert "trending" in conflict.text
    assert saved.status_code == 303
    assert [headers["x-endcap-tenant"] for headers in engine.saved] == ["shop"]


async def test_a_call_names_the_tenant_of_the_person_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str | None] = set()

    def note(request: httpx.Request) -> httpx.Response:
        if "x-api-key" in request.headers:  # probes have none
            seen.add(request.headers.get("x-endcap-tenant"))
        return httpx.Response(200, json={})

    async with browser(monkeypatch, ANN, note) as client:
        for name in existing():
            if name.startswith("GET") and "system" not in name:
                await client.get(path_of(name), headers={"x-endcap-tenant": "other"})

    assert seen == {"shop"}


class Loader:
    """Two generations, of which one is served."""

    def __init__(self) -> None:
        self.served = 8
        self.activated: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.activated.append(request.url.path)
            return httpx.Response(
                200, json={"status": "active", "activation": 9, "generations": {"popular": 7}}
            )
        generations = [
            {"generation": number, "recipes": [{"recipe": "popular", "active": number == self.served}]}
            for number in (8, 7)
        ]
        return httpx.Response(200, json={"generations": generations})


async def test_a_roll_back_is_made_and_recorded_with_what_was_served_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loader, entries = Loader(), []

    async def begin(_: AuditLog, _person: Person, *entry: object) -> int:
        entries.append(entry)
        return 1

    async with browser(monkeypatch, ANN, loader) as client:
        monkeypatch.setattr(AuditLog, "begin", begin)
        path = "/dashboard/training/generations/7/activate"
        answer = await client.post(path, data={"csrf": CSRF})

    assert answer.headers["location"] == "/dashboard/training"
    assert loader.activated == ["/v1/generations/7/activate"]
    assert entries == [("roll back generation", "7", {"popular": 8}, {"popular": 7})]


def test_an_item_is_shown_left_out_or_not_proposed() -> None:
    explanation = {
        "items": [{"product_id": "a", "position": 2, "sentence": "Popular"}],
        "dropped": [{"product_id": "b", "step": "hide", "sentence": "It is hidden"}],
    }
    answer = {"explanation": explanation}

    assert (appearance(answer, "a").state, appearance(answer, "a").position) == ("shown", 2)
    assert (appearance(answer, "b").state, appearance(answer, "b").step) == ("left out", "hide")
    assert appearance(answer, "c").state == "not proposed"
    assert appearance(None, "a").state == "unknown"
    rules = {"pins": [{"item_id": "a", "position": 1}], "hide": [{"item_ids": ["a"]}], "quotas": None}
    assert rules_of({"rules": rules}, "a") == ["pinned at position 1", "hidden"]


def test_generations_are_compared_by_recipe() -> None:
    left = [{"recipe": "popular", "rows": 10}, {"recipe": "old", "rows": 1}]
    right = [{"recipe": "popular", "rows": 15}, {"recipe": "new", "rows": 2}]

    rows = compared(left, right)

    assert [(row.recipe, row.growth) for row in rows] == [("new", None), ("old", None), ("popular", 0.5)]
    generations = [{"generation": 4, "recipes": [{"recipe": "popular", "active": True}]}]
    assert serving(generations) == {"popular": 4}


def test_the_durations_of_steps_are_a_series_of_completed_runs() -> None:
    def run(finished: str | None, status: str, seconds: float) -> dict[str, Any]:
        step = {"name": "train", "seconds": seconds}
        return {"status": status, "finished_at": finished, "steps": [step]}

    runs = [
        run("1970-01-01T00:00:20Z", "completed", 4.0),
        run(None, "running", 1.0),
        run("1970-01-01T00:00:10Z", "completed", 2.0),
    ]

    assert durations(runs) == ([10, 20], [{"name": "train", "values": [2.0, 4.0]}])
