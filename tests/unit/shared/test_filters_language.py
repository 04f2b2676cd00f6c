"""The filter language: valid expressions, and the place of each error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.filters import Filter, FilterError

# One for every rule of the grammar, and every freedom that it leaves.
GOOD = [
    'INCLUDE ItemID WHERE Items.GENRES IN ("comedy")',
    'INCLUDE ItemID WHERE Items.GENRES IN ("comedy", "drama", "a|b")',
    'EXCLUDE ItemID WHERE Items.GENRES NOT IN ("comedy")',
    "EXCLUDE ItemID WHERE Items.BRAND IN ('acme', 'it''s' )".replace("''", r"\'"),
    r'EXCLUDE ItemID WHERE Items.BRAND = "say \"hi\""',
    "INCLUDE ItemID WHERE Items.BRAND = 'acme'",
    'INCLUDE ItemID WHERE Items.BRAND = ("acme")',
    "INCLUDE ItemID WHERE Items.PRICE < 10",
    "INCLUDE ItemID WHERE Items.PRICE <= 10.5",
    "INCLUDE ItemID WHERE Items.PRICE > -3",
    "INCLUDE ItemID WHERE Items.PRICE >= 1e3",
    "INCLUDE ItemID WHERE Items.PRICE = .5",
    "INCLUDE ItemID WHERE Items.PRICE>=($LOW) AND Items.PRICE<=$HIGH",
    "INCLUDE ItemID WHERE Items.PRICE IN (1, 2.5, $MORE)",
    "INCLUDE ItemID WHERE Items.ITEM_ID IN ($IDS)",
    "INCLUDE ItemID WHERE Items.CREATION_TIMESTAMP > $SINCE",
    'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")',
    "EXCLUDE ItemID WHERE Interactions.event_type IN (*)",
    'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")',
    "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE = *",
    'INCLUDE ItemID WHERE Interactions.EVENT_TYPE = "click" AND Interactions.DEVICE = "phone"',
    "INCLUDE ItemID WHERE Interactions.EVENT_VALUE >= 4",
    'INCLUDE ItemID WHERE Items.A = "1" AND Items.B = "2" OR Items.C NOT IN ("3")',
    'INCLUDE ItemID WHERE Items.A = "1" IF CurrentUser.AGE > 18',
    'INCLUDE ItemID WHERE Items.A = "1" IF CurrentUser.AGE > $AGE AND CurrentUser.TIER NOT IN ("gold")',
    'INCLUDE ItemID WHERE Items.A IN ("1") | EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("view")',
    "EXCLUDE ItemID WHERE Items.A = 1|EXCLUDE ItemID WHERE Items.B = 1 | INCLUDE ItemID WHERE Items.C < 1",
    'exclude userid where users.Country in ("NL", "BE")',
    'include itemid where ITEMS.category_l1 in ("x") if currentuser.age <= 7',
    'INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("click", "rating")',
    "INCLUDE UserID WHERE Users.ORDER_COUNT > 3 OR Users.TOTAL_SPEND > 100",
    "INCLUDE ItemID WHERE Items.PRICE < CurrentItem.PRICE AND Items.GENRES IN CurrentItem.GENRES",
    "INCLUDE ItemID WHERE Items.GENRES NOT IN CurrentItem.GENRES",
    '\n INCLUDE\tItemID\n WHERE Items . GENRES IN("comedy")\n',
    'INCLUDE ItemID WHERE Items.GENRES IN ("día", "日本語", "")',
    "INCLUDE ItemID WHERE Items.IN IN ($IN) AND Items.WHERE = $AND OR Items.ifs = 1",
]

# (expression, line, column, what the sentence says)
BAD = [
    ("", 1, 1, "expected INCLUDE or EXCLUDE, found the end"),
    ("SELECT ItemID", 1, 1, "expected INCLUDE or EXCLUDE, found SELECT"),
    ("INCLUDE Items WHERE", 1, 9, "expected ItemID or UserID, found Items"),
    ('INCLUDE ItemID Items.GENRES IN ("a")', 1, 16, "expected WHERE, found Items"),
    ('INCLUDE ItemID WHERE GENRES IN ("a")', 1, 29, "expected a dot and a field, found IN"),
    ('INCLUDE ItemID WHERE Items.GENRES LIKE "a"', 1, 35, "IN"),
    ('INCLUDE ItemID WHERE Items.GENRES NOT = "a"', 1, 39, "expected IN, found ="),
    ('INCLUDE ItemID WHERE Items.GENRES == "a"', 1, 36, "expected CurrentItem, a value"),
    ('INCLUDE ItemID WHERE Items.GENRES IN ("a" "b")', 1, 43, "expected a comma or ), found a text"),
    ("INCLUDE ItemID WHERE Items.GENRES IN ()", 1, 39, "expected a value or a $PARAMETER, found )"),
    ('INCLUDE ItemID WHERE Items.GENRES IN ("a', 1, 39, 'a text whose closing " is missing'),
    ('INCLUDE ItemID WHERE Items.GENRES IN ("a"', 1, 42, "expected a comma or ), found the end"),
    ("INCLUDE ItemID WHERE Items.GENRES IN (“a”)", 1, 39, "typographic quotation mark “"),
    ("INCLUDE ItemID WHERE Items.GENRES IN (a)", 1, 39, "found a"),
    ("INCLUDE ItemID WHERE Items.PRICE < 5EUR", 1, 36, "found 5EUR"),
    ('INCLUDE ItemID WHERE Items.A = "1" |', 1, 37, "expected INCLUDE or EXCLUDE, found the end"),
    ('INCLUDE ItemID WHERE Items.A = "1" AND', 1, 39, "expected a name, found the end"),
    ('INCLUDE ItemID WHERE\n  Items.A = "1"\n  AND PRICE > 3', 3, 13, "expected a dot and a field, found >"),
    ('INCLUDE ItemID WHERE Items.A = "1" IF CurrentUser.B = 1 OR CurrentUser.C = 2', 1, 57, "found OR"),
    (
        'INCLUDE ItemID WHERE Items.A = "1" IF Items.B = 1',
        1,
        39,
        "IF asks for CurrentUser alone; found Items",
    ),
    ('INCLUDE ItemID WHERE CurrentUser.A = "1"', 1, 22, "Items or Interactions, and IF asks for CurrentUser"),
    ('INCLUDE ItemID WHERE Users.A = "1"', 1, 22, "found Users"),
    ('INCLUDE ItemID WHERE Item.A = "1"', 1, 22, "found Item."),
    ('INCLUDE UserID WHERE Items.A = "1"', 1, 22, "UserID WHERE asks for Users or Interactions"),
    ("INCLUDE UserID WHERE Users.A = 1 IF CurrentUser.A = 1", 1, 37, "has no current user"),
    ("EXCLUDE ActionID WHERE Actions.A = 1", 1, 9, "ActionID"),
    ('INCLUDE ItemID WHERE Items.A = "1" AND Interactions.B = "2"', 1, 40, "about one dataset"),
    ("INCLUDE ItemID WHERE Items.A = 1 | EXCLUDE UserID WHERE Users.A = 1", 1, 44, "select the same"),
    ('INCLUDE ItemID WHERE Items.A > "ten"', 1, 32, "> compares numbers, and 'ten' is not a number"),
    ("INCLUDE ItemID WHERE Items.A IN (*)", 1, 34, "* stands for any event type"),
    ("INCLUDE ItemID WHERE Interactions.EVENT_TYPE > *", 1, 48, "* stands for any event type"),
    ("INCLUDE ItemID WHERE Interactions.A = CurrentItem.B", 1, 39, "fields of Items alone"),
]


PAGE = (Path(__file__).resolve().parents[3] / "docs" / "filters.md").read_text()
EXAMPLES = re.findall(r"`((?:IN|EX)CLUDE \w+ID WHERE [^`]+)`", PAGE)


def test_the_page_of_the_language_shows_what_is_read() -> None:
    assert len(EXAMPLES) > 5
    for expression in EXAMPLES:
        Filter.parse(expression)


def test_the_page_of_the_language_shows_a_real_error() -> None:
    with pytest.raises(FilterError) as caught:
        Filter.parse('INCLUDE ItemID WHERE Items.GENRES LIKE "x"')

    assert f"InvalidInputException: {caught.value}\n" in PAGE


@pytest.mark.parametrize("expression", GOOD)
def test_an_expression_is_read(expression: str) -> None:
    assert Filter.parse(expression).expression == expression


@pytest.mark.parametrize(("expression", "line", "column", "said"), BAD, ids=[case[0][:60] for case in BAD])
def test_what_is_wrong_is_pointed_at(expression: str, line: int, column: int, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        Filter.parse(expression)

    assert (caught.value.line, caught.value.column) == (line, column)
    sentence, _, caret = str(caught.value).split("\n")
    assert said in sentence
    assert f"line {line}, column {column}" in sentence
    assert caret.strip() == "^"


def test_the_caret_stands_below_the_place_even_in_a_long_line() -> None:
    expression = f"INCLUDE ItemID WHERE Items.A IN ({', '.join(['1'] * 500)} 2) OR Items.B = 1{' ' * 80}"

    with pytest.raises(FilterError) as caught:
        Filter.parse(expression)

    _, excerpt, caret = str(caught.value).split("\n")
    assert excerpt[len(caret) - 1 :].startswith("2) OR Items.B")
    assert len(excerpt) < 80


def test_a_filter_says_what_it_needs() -> None:
    found = Filter.parse(
        "INCLUDE ItemID WHERE Items.Genres IN ($GENRES, 'x') AND Items.PRICE < CurrentItem.price "
        "IF CurrentUser.age > $age | EXCLUDE ItemID WHERE Interactions.EVENT_TYPE = *"
    )

    assert found.selects == "item"
    assert found.parameters == {"GENRES", "age"}
    assert found.fields == {
        ("ITEMS", "GENRES"),
        ("ITEMS", "PRICE"),
        ("USERS", "AGE"),
        ("INTERACTIONS", "EVENT_TYPE"),
    }
    assert (found.needs_user, found.needs_item, found.needs_interactions) == (True, True, True)


def test_a_filter_of_users_needs_neither_a_user_nor_events() -> None:
    found = Filter.parse("INCLUDE UserID WHERE Users.AGE > 3")

    assert found.selects == "user"
    assert (found.needs_user, found.needs_item, found.needs_interactions) == (False, False, False)


@dataclass(frozen=True)
class Named:
    name: str
    type: str = "string"
    textual: bool = False


COLUMNS = {
    "ITEMS": [Named("GENRES"), Named("PRICE", "float"), Named("TEXT", textual=True), Named("NEW", "boolean")],
    "USERS": [Named("AGE", "int")],
    "INTERACTIONS": [Named("DEVICE")],
}


@pytest.mark.parametrize(
    "expression",
    [
        'INCLUDE ItemID WHERE Items.genres = "x" AND Items.Price < 3 AND Items.ITEM_ID = "7"',
        'INCLUDE ItemID WHERE Items.PRICE IN ("3", $P) IF CurrentUser.AGE > 3 AND CurrentUser.USER_ID = "1"',
        'INCLUDE ItemID WHERE Interactions.EVENT_TYPE = * AND Interactions.item_id NOT IN ("7")',
        "INCLUDE UserID WHERE Interactions.eventType = *",
        "INCLUDE ItemID WHERE Items.PRICE < CurrentItem.PRICE",
    ],
)
def test_fields_of_the_schemas_pass(expression: str) -> None:
    Filter.parse(expression).check(COLUMNS)


@pytest.mark.parametrize(
    ("expression", "column", "said"),
    [
        ('INCLUDE ItemID WHERE Items.GENRE = "x"', 22, "Items.GENRE is unknown"),
        ('INCLUDE ItemID WHERE Items.TEXT = "x"', 22, "textual"),
        ('INCLUDE ItemID WHERE Items.NEW = "x"', 22, "boolean"),
        ('INCLUDE ItemID WHERE Items.GENRES = "x" AND Items.GENRES > 4', 45, "GENRES holds texts"),
        (
            'INCLUDE ItemID WHERE Items.PRICE IN (3, "cheap")',
            41,
            "PRICE holds numbers, and 'cheap' is not a number",
        ),
        ('INCLUDE ItemID WHERE Items.GENRES = "x" IF CurrentUser.WEIGHT > 4', 44, "Users.WEIGHT is unknown"),
        (
            'INCLUDE ItemID WHERE Interactions.DEVICE = "x"',
            22,
            "of interactions it can use EVENT_TYPE and ITEM_ID",
        ),
        ("INCLUDE ItemID WHERE Interactions.EVENT_VALUE > 3", 22, "Interactions.EVENT_VALUE can't be"),
        ('INCLUDE UserID WHERE Interactions.ITEM_ID = "x"', 22, "of interactions it can use EVENT_TYPE"),
        ("INCLUDE ItemID WHERE Items.PRICE < CurrentItem.COST", 36, "Items.COST is unknown"),
    ],
)
def test_other_fields_are_refused_at_their_place(expression: str, column: int, said: str) -> None:
    with pytest.raises(FilterError, match=said) as caught:
        Filter.parse(expression).check(COLUMNS)

    assert caught.value.column == column


def test_a_dataset_that_is_missing_is_named() -> None:
    with pytest.raises(FilterError, match="the Items dataset of the dataset group does not exist yet"):
        Filter.parse('INCLUDE ItemID WHERE Items.GENRES = "x"').check({})
    Filter.parse('EXCLUDE ItemID WHERE Interactions.EVENT_TYPE = "x"').check({})
