"""Values as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.dashboard.domain import formats

NOW = datetime(2026, 11, 29, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (999, "999"),
        (9_999, "9,999"),
        (6_034.56, "6,035"),
        (12_345, "12.3k"),
        (3_400_000, "3.4M"),
        (0.1234, "0.123"),
    ],
)
def test_numbers_are_compact(value: float | None, text: str) -> None:
    assert formats.compact(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.000_84, "0.84 ms"),
        (0.25, "250 ms"),
        (12.44, "12.4 s"),
        (185, "3 min 5 s"),
        (12_000, "3 h 20 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations_have_the_unit_that_suits_them(value: float | None, text: str) -> None:
    assert formats.seconds(value) == text


def test_sizes_shares_and_numbers_have_units() -> None:
    assert (formats.size(512), formats.size(87_136_666), formats.size(None)) == ("512 B", "83.1 MiB", "–")
    assert (formats.percent(0.1234), formats.percent(None)) == ("12.3 %", "–")
    assert (formats.number(1234567), formats.number(1.5, 2)) == ("1,234,567", "1.50")


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (0, "now"),
        (40, "40 s ago"),
        (190, "3 min ago"),
        (7_300, "2 h ago"),
        (200_000, "2 d ago"),
        (-130, "in 2 min"),
    ],
)
def test_instants_are_told_by_their_distance(passed: int, text: str) -> None:
    assert formats.ago(NOW - timedelta(seconds=passed), NOW) == text


def test_instants_come_in_every_form_of_the_apis() -> None:
    texts = ["2026-11-29T22:00:00Z", "2026-11-29T23:00:00+01:00", NOW, NOW.timestamp()]

    assert {formats.moment(value) for value in texts} == {"2026-11-29 22:00:00"}
    assert (formats.moment("soon"), formats.moment(None)) == ("–", "–")


def test_instants_among_facts_are_written_for_people() -> None:
    texts = ["2026-11-29T21:57:20.481040Z", "2026-11-29T22:57:20+01:00", "2026-11-29T99:99:99Z", "2026", None]

    assert [formats.fact(text) for text in texts] == [
        "2026-11-29 21:57:20 UTC", "2026-11-29 21:57:20 UTC", "2026-11-29T99:99:99Z", "2026", "–",
    ]  # fmt: skip
    assert formats.words("updated_at") == "updated at"


def test_values_of_documents_are_one_line() -> None:
    assert formats.text({"a": [1, True], "b": None, "c": [8785.0, 0.5]}) == "a: 1, yes, b: –, c: 8785, 0.5"
