"""What metrics add up, and for whom."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from services.engine.computations.attribution_report import as_csv
from services.engine.domain.attribution import UNDEFINED, Metric, MetricAggregator
from shared.errors import Permanent


def event(kind: str = "purchase", **said: Any) -> dict[str, Any]:
    nothing = {"item_id": None, "value": None, "properties": None}
    attribution = {"attribution_source": None, "recommendation_id": None}
    return {"event_type": kind, **nothing, **attribution, **said}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("SAMPLECOUNT()", ("samplecount", None, "")),
        ("sum(items.PRICE)", ("sum", "ITEMS", "PRICE")),
        (" SUM ( Interactions.EVENT_VALUE ) ", ("sum", "INTERACTIONS", "EVENT_VALUE")),
    ],
)
def test_expressions(expression: str, expected: tuple[Any, ...]) -> None:
    metric = Metric.parse("m", "Purchase", expression)

    assert (metric.function, metric.dataset, metric.column) == expected


@pytest.mark.parametrize(
    "expression", ["", "SUM(PRICE)", "AVG(Items.PRICE)", "SUM(Users.AGE)", "SAMPLECOUNT(*)"]
)
def test_other_expressions_are_refused(expression: str) -> None:
    with pytest.raises(Permanent, match="SAMPLECOUNT"):
        Metric.parse("m", "Purchase", expression)


def test_a_tally_adds_up_by_source() -> None:
    metrics = (
        Metric.parse("bought", "Purchase", "SAMPLECOUNT()"),
        Metric.parse("paid", "Purchase", "SUM(Interactions.EVENT_VALUE)"),
        Metric.parse("saved", "Purchase", "SUM(Interactions.You_Saved)"),
        Metric.parse("worth", "Purchase", "SUM(Items.PRICE)"),
        Metric.parse("seen", "View", "SAMPLECOUNT()"),
    )
    aggregator = MetricAggregator(metrics, set())

    aggregator.add([
        event(item_id="a", value=2.5, attribution_source="mail", properties={"youSaved": "0.5"}),
        event(item_id="a", value=1.0, attribution_source="mail", properties={"youSaved": "much"}),
        event(item_id="b"),
        event("view", item_id="a"),
        event("click", item_id="a"),
    ])  # fmt: skip

    assert aggregator.events == 5
    assert dict(aggregator.values) == {
        ("bought", "mail"): 2, ("paid", "mail"): 3.5, ("saved", "mail"): 0.5,
        ("bought", UNDEFINED): 1, ("seen", UNDEFINED): 1,
    }  # fmt: skip
    assert aggregator.items == {("worth", "mail"): {"a": 2}, ("worth", UNDEFINED): {"b": 1}}


def test_what_an_event_says_itself_outranks_whose_recommendation_it_was() -> None:
    origin = {"RID-1": "arn:campaign"}.get
    aggregator = MetricAggregator((Metric.parse("m", "purchase", "SAMPLECOUNT()"),), set(), origin)

    aggregator.add([
        event(recommendation_id="RID-1"),
        event(recommendation_id="RID-1", attribution_source="mail"),
        event(recommendation_id="RID-2"),
    ])  # fmt: skip

    assert dict(aggregator.values) == {("m", "arn:campaign"): 1, ("m", "mail"): 1, ("m", UNDEFINED): 1}


def test_of_more_than_a_hundred_sources_the_newer_ones_are_undefined() -> None:
    aggregator = MetricAggregator((Metric.parse("m", "purchase", "SAMPLECOUNT()"),), {"known"})

    aggregator.add(event(attribution_source=f"s{number}") for number in range(150))
    aggregator.add([event(attribution_source="known")])

    assert len(aggregator.values) == 101
    assert aggregator.values["m", UNDEFINED] == 150 - 99
    assert aggregator.values["m", "known"] == 1


def test_the_file_has_the_services_columns() -> None:
    file = as_csv([("COUNTWATCHES", "WATCH", 12.0, "samplecount", "arn:x", 1666924200)]).decode()

    assert file.splitlines() == [
        "METRIC_NAME,EVENT_TYPE,VALUE,MATH_FUNCTION,EVENT_ATTRIBUTION_SOURCE,TIMESTAMP",
        "COUNTWATCHES,WATCH,12.0,samplecount,arn:x,1666924200",
    ]


def test_no_event_makes_a_sum_infinite() -> None:
    aggregator = MetricAggregator((Metric.parse("paid", "Purchase", "SUM(Interactions.EVENT_VALUE)"),), set())

    aggregator.add([event(value=1e308), event(value=1e308), event(value=3e38), event(value=2.0)])

    assert aggregator.values["paid", UNDEFINED] == 3e38 + 2.0


def test_no_text_of_the_file_is_a_formula() -> None:
    row = ("=1+1", "@view", -5.0, "sum", '=HYPERLINK("http://x")', 1666924200)

    [_, line] = csv.reader(io.StringIO(as_csv([row]).decode()))

    # A number below zero stays one.
    assert line == ["'=1+1", "'@view", "-5.0", "sum", '\'=HYPERLINK("http://x")', "1666924200"]
