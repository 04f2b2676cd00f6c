"""Where a tenant may read and write in the object store."""

from __future__ import annotations

import pytest

from services.engine.domain import locations
from services.engine.domain.locations import Buckets, Location
from shared.errors import Permanent

BUCKETS = Buckets("endcap-data", "endcap-uploads")


def test_an_s3_address_is_taken_apart() -> None:
    assert locations.parse("s3://shop/a/b.csv", "No.") == Location("shop", "a/b.csv")
    assert not locations.parse("s3://shop/a/b.csv", "No.").is_folder
    assert locations.parse("s3://shop/a/", "No.").is_folder
    assert locations.parse("s3://shop", "No.").is_folder


@pytest.mark.parametrize(
    "uri", ["https://shop/a.csv", "s3:/shop/a", "s3://", "shop/a", "s3://shop/default/../other/a.csv"]
)
def test_anything_else_is_refused_with_the_services_words(uri: str) -> None:
    with pytest.raises(Permanent, match="Invalid Data location"):
        locations.parse(uri, "Invalid Data location.")


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("key", ["other/runs/1/items.csv", "", "default-2/a", "items.csv"])
def test_another_tenants_prefix_of_a_shared_bucket_is_refused(bucket: str, key: str) -> None:
    location = Location(bucket, key)

    with pytest.raises(Permanent, match="belongs to another tenant"):
        locations.check_readable(location, "default", BUCKETS, "No.")
    with pytest.raises(Permanent, match="belongs to another tenant"):
        locations.check_writable(location, "default", BUCKETS, "No.")


@pytest.mark.parametrize("key", ["default/models/s/1/", "default/datasets/items/4/"])
def test_the_engines_own_folders_can_be_read_but_not_written(key: str) -> None:
    location = Location("endcap-data", key)

    locations.check_readable(location, "default", BUCKETS, "No.")
    with pytest.raises(Permanent, match="keeps its own files"):
        locations.check_writable(location, "default", BUCKETS, "No.")


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_path_with_an_empty_name_in_a_shared_bucket_is_refused(bucket: str) -> None:
    with pytest.raises(Permanent, match="empty name"):
        locations.check_writable(Location(bucket, "default//models/s/1/"), "default", BUCKETS, "No.")
    locations.check_writable(Location("my-bucket", "a//b"), "default", BUCKETS, "No.")


def test_what_a_deletion_has_written_goes_file_by_file_and_imports_by_their_folders() -> None:
    keys = ("t/datasets/users/7/1/part-00000.parquet", "t/datasets/users/7/1/part-00001.parquet")
    mixed = locations.deletion_prefix("t", 9, 1) + "0/part-00000.parquet"

    assert locations.leftovers("t", [*keys, mixed]) == {"t/datasets/users/7/1/", mixed}


def test_the_tenants_own_prefix_and_other_buckets_are_free() -> None:
    for location in (
        Location("endcap-data", "default/runs/7/"),
        Location("endcap-uploads", "default/items.csv"),
        Location("my-bucket", ""),
    ):
        locations.check_writable(location, "default", BUCKETS, "No.")
