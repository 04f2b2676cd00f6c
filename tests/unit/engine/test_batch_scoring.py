"""Lines of a batch inference: what is asked, and what stands in the place of a bad one."""

from __future__ import annotations

from io import BytesIO

import orjson
import pyarrow as pa
import pytest

from services.engine.computations.batch_filters import ItemFilter
from services.engine.computations.batch_lines import input_files
from services.engine.computations.batch_scoring import BatchScorer, Line, check_items, parse_line
from services.engine.domain.locations import Access, Buckets, Grant, Location
from services.engine.domain.solution_config import TrainingConfig
from services.engine.store.objects import Object
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset
from shared.errors import Permanent


def test_a_good_line_asks_for_its_user() -> None:
    assert parse_line(b'{"userId": "7"}\n', "userId") == Line({"userId": "7"}, "7")


def test_a_byte_order_mark_is_no_part_of_a_line() -> None:
    assert parse_line(b'\xef\xbb\xbf{"userId": "7"}\r\n', "userId") == Line({"userId": "7"}, "7")


def test_members_beside_the_id_are_echoed() -> None:
    line = parse_line(b'{"itemId": "7", "filterValues": {"A": "\\"b\\""}}', "itemId")

    assert line.query == "7"
    assert line.value["filterValues"] == {"A": '"b"'}


def test_a_recipe_for_everybody_needs_no_user() -> None:
    assert parse_line(b"{}", "userId", optional=True).query == ""


@pytest.mark.parametrize(
    ("raw", "given", "error"),
    [
        (b"nonsense\r\n", "nonsense", "The line is not valid JSON."),
        (b"[1]", [1], "The line is not a JSON object."),
        (b"{}", {}, "The line needs userId: 1 to 256 characters, as text."),
        (b'{"userId": 7}', {"userId": 7}, "The line needs userId: 1 to 256 characters, as text."),
        (b'{"itemId": "7"}', {"itemId": "7"}, "The line needs userId: 1 to 256 characters, as text."),
    ],
)
def test_a_bad_line_says_why(raw: bytes, given: object, error: str) -> None:
    assert parse_line(raw, "userId") == Line(given, None, error)


@pytest.mark.parametrize(
    "items", [b"", b', "itemList": []', b', "itemList": "a"', b', "itemList": [1]', b', "itemList": [""]']
)
def test_a_line_to_rank_brings_its_items(items: bytes) -> None:
    line = check_items(parse_line(b'{"userId": "7"' + items + b"}", "userId"))

    assert line.query is None
    assert line.error == "The line needs an itemList of 1 to 500 ids of 1 to 256 characters each."


def ranking() -> BatchScorer:
    """Two tastes: tea people and bolt people."""
    rows = [
        (f"u{user}", f"{('tea', 'bolt')[user % 2]}-{(user + step) % 6}", user + step)
        for user in range(60)
        for step in range(4)
    ]
    users, items, times = zip(*rows, strict=True)
    dataset = Dataset.from_arrow(pa.table({"USER_ID": users, "ITEM_ID": items, "TIMESTAMP": times}))
    return BatchScorer(
        RECIPES["aws-personalized-ranking"].fit(dataset, TrainingConfig(), silent), 25, ranks=True
    )


def answered(scorer: BatchScorer, *lines: bytes) -> list[dict[str, object]]:
    parsed = list(scorer.lines(BytesIO(b"\n".join(lines))))
    return [orjson.loads(line) for line in scorer.score(parsed)]


def test_a_ranking_orders_the_items_of_its_line() -> None:
    given = b'{"userId": "u0", "itemList": ["stranger", "bolt-1", "tea-5", "bolt-2", "tea-4"]}'
    good, bad = answered(ranking(), given, b'{"userId": "u0"}')

    output = good["output"]
    assert isinstance(output, dict)
    items, scores = output["recommendedItems"], output["scores"]
    assert {item[:3] for item in items[:2]} == {"tea"}
    assert sorted(items) == ["bolt-1", "bolt-2", "stranger", "tea-4", "tea-5"]
    assert items[-1] == "stranger"
    assert scores[-1] == 0.0
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert scores == sorted(scores, reverse=True)
    assert bad["output"] is None


def test_a_filter_takes_items_out_of_a_ranking() -> None:
    plain = ranking()
    item_filter = ItemFilter('EXCLUDE ItemID WHERE Items.ITEM_ID IN ("tea-4")', plain.model)
    line = b'{"userId": "u0", "itemList": ["tea-4", "tea-5", "stranger"]}'
    (found,) = answered(BatchScorer(plain.model, 25, item_filter, ranks=True), line)

    assert isinstance(found["output"], dict)
    assert found["output"]["recommendedItems"] == ["tea-5", "stranger"]


DEEP = b'{"userId": "u0", "note": ' + b"[" * 400 + b"]" * 400 + b"}"


def test_a_line_that_is_nested_too_deep_is_an_error_in_its_place() -> None:
    good, bad = answered(ranking(), b'{"userId": "u0", "itemList": ["tea-5"]}', DEEP)

    assert good["error"] is None
    assert bad == {"input": DEEP.decode(), "output": None, "error": "The line is nested too deep."}


class Bucket:
    """Objects of one bucket by their keys."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def find(self, location: Location, _: str) -> Object | None:
        return Object(location.bucket, location.key, 1) if location.key in self.keys else None

    def matching(self, location: Location, _: str) -> list[Object]:
        return [Object(location.bucket, key, 1) for key in self.keys if key.startswith(location.key)]

    def check_writable(self, location: Location, error_prefix: str) -> None:
        Access("shop", Buckets("data", "uploads"), (Grant("other"), Grant("shop"))).check_writable(
            location, error_prefix
        )


@pytest.mark.parametrize(
    "name", ["../../mall/models/a.json", "a/../../b.json", "./a.json", "models/s/a.json"]
)
def test_the_name_of_an_input_leads_to_no_place_that_is_forbidden(name: str) -> None:
    bucket = Bucket(f"in/{name}")

    with pytest.raises(Permanent, match="Invalid S3 output path"):
        input_files(bucket, Location("shop", "in/"), Location("data", "shop/"), "No.")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "answers"),
    [
        ("in/users", {"in/users_1.json": "users_1.json.out", "in/users_2.json": "users_2.json.out"}),
        ("in", {"in/users_1.json": "in/users_1.json.out", "in/users_2.json": "in/users_2.json.out",
                "in/x/a.json": "in/x/a.json.out", "in-2.json": "in-2.json.out"}),
        ("in/", {"in/users_1.json": "users_1.json.out", "in/users_2.json": "users_2.json.out",
                 "in/x/a.json": "x/a.json.out"}),
        ("in/x", {"in/x/a.json": "a.json.out"}),
        ("in/users_1.json", {"in/users_1.json": "users_1.json.out"}),
        ("", {"in-2.json": "in-2.json.out", "in/users_1.json": "in/users_1.json.out",
              "in/users_2.json": "in/users_2.json.out", "in/x/a.json": "in/x/a.json.out"}),
    ],
)  # fmt: skip
def test_the_input_is_an_object_a_folder_or_a_prefix(source: str, answers: dict[str, str]) -> None:
    bucket = Bucket("in-2.json", "in/users_1.json", "in/users_2.json", "in/x/a.json")

    found = input_files(bucket, Location("in", source), Location("other", "out"), "No.")  # type: ignore[arg-type]

    assert {file.key: key.removeprefix("out/") for file, key in found} == answers


@pytest.mark.parametrize("output", ["in/", "in", "in/out/"])
def test_what_was_answered_into_the_folder_of_the_questions_is_no_question(output: str) -> None:
    answers = {"in/": "in/a.json.out", "in": "in/a.json.out", "in/out/": "in/out/a.json.out"}
    bucket = Bucket("in/a.json", answers[output], "in/b.out")
    source = Location("shop", "in/")

    found = input_files(bucket, source, Location("shop", output), "No.")  # type: ignore[arg-type]
    elsewhere = input_files(bucket, source, Location("other", output), "No.")  # type: ignore[arg-type]

    assert [file.key for file, _ in found] == ["in/a.json", "in/b.out"]
    assert found[0][1] == answers[output]
    assert len(elsewhere) == 3
