"""Locations of files in the object store, and the kinds that their names tell."""

from __future__ import annotations

import pytest

from services.sync.domain.object_locations import ObjectLocation, kind_of_file, parse_location
from shared.errors import Permanent


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("s3://shop-data/interactions.csv", ("shop-data", "interactions.csv")),
        ("s3://shop-data/a b/ü+%2F/ITEMS.CSV.GZ", ("shop-data", "a b/ü+%2F/ITEMS.CSV.GZ")),
        ("s3://b//x.csv", ("b", "/x.csv")),
    ],
)
def test_the_location_of_a_file_is_a_bucket_and_a_key(uri: str, location: tuple[str, str]) -> None:
    assert parse_location(uri) == location
    assert parse_location(uri).uri == uri


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("shop-data/interactions.csv", "s3://bucket/key"),
        ("http://shop-data/interactions.csv", "s3://bucket/key"),
        ("s3://shop-data", "s3://bucket/key"),
        ("s3:///interactions.csv", "s3://bucket/key"),
        ("s3://shop data/interactions.csv", "s3://bucket/key"),
        ("s3://shop-data/folder/", r"\.csv or \.csv\.gz"),
        ("s3://shop-data/interactions.jsonl", r"\.csv or \.csv\.gz"),
        ("s3://shop-data/interactions.csv.zip", r"\.csv or \.csv\.gz"),
        ("s3://uploads/shop/../other/interactions.csv", "part"),
        ("s3://uploads/./interactions.csv", "part"),
        ("s3://uploads/a\x00/interactions.csv", "part"),
        (f"s3://uploads/{'ü' * 600}/interactions.csv", "longer than 1024 bytes"),
    ],
)
def test_any_other_text_is_refused_with_a_sentence(uri: str, sentence: str) -> None:
    with pytest.raises(Permanent, match=sentence):
        parse_location(uri)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("interactions.csv", "interactions"), ("Users-2026.csv.gz", "users"), ("ORDERS.csv", "orders")],
)
def test_the_name_of_a_file_tells_its_kind(name: str, kind: str) -> None:
    assert kind_of_file(name) == kind


def test_a_name_without_a_kind_is_refused() -> None:
    with pytest.raises(Permanent, match="orders, items, users, interactions"):
        kind_of_file(ObjectLocation("b", "orders/data.csv").filename)
