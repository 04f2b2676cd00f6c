"""The page of intake rules: shown as a form, and saved as a whole."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from services.dashboard.domain.rule_forms import as_fields, as_rules
from services.dashboard.store.sessions import Person
from services.tracker.domain.intake_rules import Rules
from tests.unit.dashboard.site import CSRF, browser

ANN = Person("ann", "shop", "admin")
RULES = Rules(
    event_types={"a=b": "view", "Gesehen": "click"},
    missing_consent="denied",
    bot_agents=["<b>Bot"],
    internal_users=["u1", "u2"],
).model_dump()


@pytest.mark.parametrize("rules", [RULES, Rules(withhold_bots=False, consent_categories=[]).model_dump()])
def test_a_form_that_is_sent_as_it_was_shown_changes_nothing(rules: dict[str, Any]) -> None:
    others = {
        "missing_consent": rules["missing_consent"],
        "withhold_bots": "yes" if rules["withhold_bots"] else "",
    }
    fields = as_fields(rules) | others

    assert as_rules(lambda name: fields.get(name, "")) == rules


async def test_rules_are_shown_and_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            sent.append(orjson.loads(request.content))
            problem = {"error": "InvalidRequest", "detail": "event_types: no type"}
            return httpx.Response(200, json=RULES) if len(sent) == 1 else httpx.Response(400, json=problem)
        return httpx.Response(200, json=RULES)

    form = {"csrf": CSRF, "internal_users": "u1\r\n\r\n u2 ", "event_types": "Gekauft = purchase"}
    async with browser(monkeypatch, ANN, answer) as client:
        shown = await client.get("/dashboard/rules")
        saved = await client.post("/dashboard/rules", data=form)
        refused = await client.post("/dashboard/rules", data=form | {"event_types": "Gekauft"})

    assert "&lt;b&gt;Bot" in shown.text
    assert "Gesehen = click" in shown.text
    assert (saved.status_code, saved.headers["location"]) == (303, "/dashboard/rules")
    assert sent[0]["internal_users"] == ["u1", "u2"]
    assert sent[0]["event_types"] == {"Gekauft": "purchase"}
    assert "no%20type" in refused.headers["set-cookie"]
