"""The masks of bound filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from shared.filters import Events, Filter, FilterError, Interaction, Table
from shared.models import Attributes

ITEMS = Table(
    ["a", "b", "c", "d"],
    {
        "GENRES": np.array(["comedy|drama", "drama", "Comedy", None], object),
        "PRICE": np.array([1.0, 5.0, np.nan, 10.0]),
        "CREATION_TIMESTAMP": np.array([10.0, 20.0, 30.0, 40.0]),
        "SEASON": np.array(["1", "2", None, "x"], object),
    },
)
EVENTS = (
    Interaction("a", "purchase", {"device": "phone", "EVENT_VALUE": 4.5}),
    Interaction("b", "view", {"DEVICE": "laptop"}),
    Interaction("b", "Add To Cart", {"DEVICE": "phone"}),
    Interaction("gone", "view"),
    Interaction(None, "search"),
)


def allowed(expression: str, *, values: dict[str, str] | None = None, **given: Any) -> str:
    """The ids that a filter lets through, as one word."""
    mask = Filter.parse(expression).bind(values or {}).mask(ITEMS, **given)
    assert mask.dtype == np.bool_
    return "".join(np.array(ITEMS.ids)[mask].tolist())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('INCLUDE ItemID WHERE Items.GENRES IN ("drama")', "ab"),
        ('EXCLUDE ItemID WHERE Items.GENRES IN ("drama")', "cd"),
        ('INCLUDE ItemID WHERE Items.genres = "comedy"', "a"),
        ('INCLUDE ItemID WHERE Items.GENRES = "comedy|drama"', ""),
        ('INCLUDE ItemID WHERE Items.GENRES NOT IN ("comedy")', "bcd"),
        ("INCLUDE ItemID WHERE Items.PRICE < 10", "ab"),
        ("INCLUDE ItemID WHERE Items.PRICE >= 5", "bd"),
        ("INCLUDE ItemID WHERE Items.PRICE NOT IN (5)", "acd"),
        ("INCLUDE ItemID WHERE Items.price IN (1, '10.0')", "ad"),
        ("INCLUDE ItemID WHERE Items.creationTimestamp > 20", "cd"),
        ("INCLUDE ItemID WHERE Items.SEASON = 1", "a"),
        ("INCLUDE ItemID WHERE Items.SEASON > 1", "b"),
        ('INCLUDE ItemID WHERE Items.ITEM_ID IN ("d", "b", "nobody")', "bd"),
        ('INCLUDE ItemID WHERE Items.ITEM_ID NOT IN ("d")', "abc"),
        ('INCLUDE ItemID WHERE Items.COLOUR = "red"', ""),
        ('INCLUDE ItemID WHERE Items.COLOUR NOT IN ("red")', "abcd"),
        # AND before OR.
        ('INCLUDE ItemID WHERE Items.GENRES = "Comedy" OR Items.GENRES = "drama" AND Items.PRICE > 3', "bc"),
        ('INCLUDE ItemID WHERE Items.GENRES = "drama" AND Items.PRICE > 3 OR Items.GENRES = "Comedy"', "bc"),
        # The union of INCLUDEs without the union of EXCLUDEs, in any order.
        ("EXCLUDE ItemID WHERE Items.PRICE = 5 | INCLUDE ItemID WHERE Items.PRICE > 1", "d"),
        ("INCLUDE ItemID WHERE Items.PRICE > 1 | EXCLUDE ItemID WHERE Items.PRICE = 5", "d"),
        ("INCLUDE ItemID WHERE Items.PRICE = 1 | INCLUDE ItemID WHERE Items.PRICE = 5", "ab"),
        ("EXCLUDE ItemID WHERE Items.PRICE = 1 | EXCLUDE ItemID WHERE Items.PRICE = 5", "cd"),
    ],
)
def test_items_by_their_attributes(expression: str, expected: str) -> None:
    assert allowed(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")', "bcd"),
        ('INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("PURCHASE", "VIEW")', "ab"),
        ("INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN (*)", "ab"),
        ('EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")', "cd"),
        # Every spelling of a type that the intake knows.
        ('INCLUDE ItemID WHERE Interactions.EVENT_TYPE = "Product Added"', "b"),
        ('INCLUDE ItemID WHERE Interactions.EVENT_TYPE = "Order Completed"', "a"),
        ('INCLUDE ItemID WHERE Interactions.EVENT_TYPE NOT IN ("view")', "ab"),
        # All conditions are about one event.
        ('INCLUDE ItemID WHERE Interactions.EVENT_TYPE = "view" AND Interactions.DEVICE = "phone"', ""),
        ('INCLUDE ItemID WHERE Interactions.EVENT_TYPE = "view" OR Interactions.DEVICE = "phone"', "ab"),
        ("INCLUDE ItemID WHERE Interactions.EVENT_VALUE > 4", "a"),
        ('EXCLUDE ItemID WHERE Interactions.ITEM_ID = "b"', "acd"),
    ],
)
def test_items_by_what_the_user_did(expression: str, expected: str) -> None:
    assert allowed(expression, interactions=EVENTS) == expected


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"AGE": 20.0, "tier": "gold|old"}, "ab"),
        ({"age": "20", "TIER": "gold"}, "ab"),
        ({"AGE": 10.0, "TIER": "gold"}, "abcd"),
        ({"AGE": 20.0, "TIER": "Gold"}, "abcd"),
        ({"AGE": None, "TIER": "gold"}, "abcd"),
        (None, "abcd"),
    ],
)
def test_an_expression_counts_only_if_its_premise_holds(user: dict[str, Any] | None, expected: str) -> None:
    premise = 'IF CurrentUser.AGE > 18 AND CurrentUser.TIER = "gold"'

    assert allowed(f'INCLUDE ItemID WHERE Items.GENRES = "drama" {premise}', user=user) == expected


@pytest.mark.parametrize(
    ("item_id", "expected"), [("b", "a"), ("d", ""), ("a", ""), ("unknown", ""), (None, "")]
)
def test_items_beside_the_current_one(item_id: str | None, expected: str) -> None:
    expression = "INCLUDE ItemID WHERE Items.PRICE < CurrentItem.PRICE AND Items.GENRES IN CurrentItem.GENRES"

    assert allowed(expression, item_id=item_id) == expected


def test_a_mask_belongs_to_who_asked_for_it() -> None:
    bound = Filter.parse('INCLUDE ItemID WHERE Items.GENRES = "drama"').bind({})

    bound.mask(ITEMS)[:] = False

    assert bound.mask(ITEMS).tolist() == [True, True, False, False]


def test_the_attributes_of_a_model_make_a_table() -> None:
    attributes = Attributes.of({"A": np.array(["x|y", None], object), "N": np.array([1.0, np.nan])})
    table = Table.of(["1", "2"], attributes)

    assert Filter.parse('INCLUDE ItemID WHERE Items.a = "y"').bind({}).mask(table).tolist() == [True, False]
    assert Filter.parse("INCLUDE ItemID WHERE Items.n < 2").bind({}).mask(table).tolist() == [True, False]


def test_users_by_attributes_and_by_what_they_did() -> None:
    users = Table(["u", "v"], {"COUNTRY": np.array(["NL", "BE"], object)})
    did = [Interaction("a", "view", user_id="v"), Interaction("a", "view", user_id="w")]

    def found(expression: str, events: Sequence[Interaction] | Events = ()) -> list[bool]:
        mask: list[bool] = Filter.parse(expression).bind({}).mask(users, interactions=events).tolist()
        return mask

    assert found('INCLUDE UserID WHERE Users.country = "NL"') == [True, False]
    assert found('EXCLUDE UserID WHERE Users.USER_ID = "u"') == [False, True]
    assert found("EXCLUDE UserID WHERE Interactions.EVENT_TYPE = *", did) == [True, False]
    everybody = Events(np.array([1, 1, 0]), np.array([0, 1, 0]), ("view", "purchase"))
    assert found('INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("Buy")', everybody) == [False, True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"comedy"', "a"),
        ('"comedy","Comedy"', "ac"),
        ('  "comedy" , "Comedy" ', "ac"),
        ("comedy", "a"),
        ("'comedy'", "a"),
        ("'comedy', 'Comedy'", "ac"),
        ('"comedy, Comedy"', ""),
        (r'"a \"b\" \\"', ""),
    ],
)
def test_values_of_parameters(text: str, expected: str) -> None:
    expression = "INCLUDE ItemID WHERE Items.GENRES IN ($GENRES)"

    assert allowed(expression, values={"GENRES": text}) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("5", "b"), ("1, 5", "ab"), ('"1","5.0"', "ab"), ('"1", 5', "ab")]
)
def test_numbers_of_parameters(text: str, expected: str) -> None:
    assert allowed("INCLUDE ItemID WHERE Items.PRICE IN ($P)", values={"P": text}) == expected


def test_a_range_takes_a_parameter() -> None:
    expression = "INCLUDE ItemID WHERE Items.PRICE > $LOW AND Items.PRICE <= ($HIGH)"

    assert allowed(expression, values={"LOW": "1", "HIGH": '"5"'}) == "b"


@pytest.mark.parametrize(
    ("expression", "values", "said"),
    [
        ("INCLUDE ItemID WHERE Items.A IN ($P)", {}, "includes by the parameter P"),
        ("INCLUDE ItemID WHERE Items.A IN ($P)", {"P": " "}, "includes by the parameter P"),
        ("INCLUDE ItemID WHERE Items.A = 1 IF CurrentUser.B = $P", {}, "includes by the parameter P"),
        ("EXCLUDE ItemID WHERE Items.A IN ($P)", {"Q": "1"}, "no parameter Q; its parameters: P"),
        ("EXCLUDE ItemID WHERE Items.A = 1", {"Q": "1"}, "no parameter Q; its parameters: none"),
        ("EXCLUDE ItemID WHERE Items.A = $P", {"P": '"a","b"'}, "takes one value, not 2"),
        ("EXCLUDE ItemID WHERE Items.A > $P", {"P": "ten"}, "must be a number, not 'ten'"),
        ("EXCLUDE ItemID WHERE Items.A IN ($P)", {"P": '"a" "b"'}, "from character 1 on"),
        ("EXCLUDE ItemID WHERE Items.A IN ($P)", {"P": '"a","b'}, "from character 5 on"),
        ("EXCLUDE ItemID WHERE Items.A IN ($P)", {"P": '"a",'}, "from character 5 on"),
    ],
)
def test_bad_values_are_refused(expression: str, values: dict[str, str], said: str) -> None:
    with pytest.raises(FilterError, match=said):
        Filter.parse(expression).bind(values)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("EXCLUDE ItemID WHERE Items.GENRES IN ($P)", "abcd"),
        ('EXCLUDE ItemID WHERE Items.GENRES IN ($P) OR Items.GENRES = "drama"', "cd"),
        ('EXCLUDE ItemID WHERE Items.GENRES IN ($P) AND Items.GENRES = "drama"', "abcd"),
        ("EXCLUDE ItemID WHERE Items.GENRES NOT IN ($P)", "abcd"),
        ('EXCLUDE ItemID WHERE Items.GENRES = "drama" IF CurrentUser.AGE NOT IN ($P)', "abcd"),
        ('EXCLUDE ItemID WHERE Items.GENRES IN ($P) | INCLUDE ItemID WHERE Items.GENRES = "drama"', "ab"),
    ],
)
def test_an_exclusion_without_its_value_excludes_nothing(expression: str, expected: str) -> None:
    assert allowed(expression) == expected
    assert allowed(expression, values={"P": ""}) == expected
