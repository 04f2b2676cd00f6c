"""Bots are known by their user agents, and people are not taken for bots."""

from __future__ import annotations

import re

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from services.tracker.domain.bots import is_bot

LISTED = [
    entry
    for entry in CRAWLER_USER_AGENTS_DATA
    if {"http-library", "browser-automation"}.isdisjoint(entry["tags"])
]
AGENTS = [agent for entry in LISTED for agent in entry["instances"]]
PATTERN = re.compile("|".join(entry["pattern"] for entry in LISTED))
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36"


def test_each_agent_of_the_list_is_a_bot() -> None:
    assert len(AGENTS) > 1_000
    assert [agent for agent in AGENTS if PATTERN.search(agent) and not is_bot(agent)] == []


@pytest.mark.parametrize(
    "agent",
    [
        CHROME,
        CHROME.replace("Chrome", "HeadlessChrome"),
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
        "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 Chrome/90.0 Mobile Safari/537.36",
        "okhttp/4.12.0",
        "bo",
        "",
    ],
)
def test_people_and_programs_of_the_shop_are_no_bots(agent: str) -> None:
    assert not is_bot(agent)


@pytest.mark.parametrize(
    "agent", ["MyOwnCrawler/1", "some-bot", "Yeti/1.1", "a spider", "curious CUBOT bot/1"]
)
def test_other_bots_are_known_by_what_they_call_themselves(agent: str) -> None:
    assert is_bot(agent)
