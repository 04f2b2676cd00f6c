"""Where a tenant may read and write in the object store."""

from __future__ import annotations

import contextlib

import pytest

from services.engine.domain import locations
from services.engine.domain.locations import Access, Buckets, Grant, Location
from shared.errors import Permanent

BUCKETS = Buckets("endcap-data", "endcap-uploads")
ACCESS = Access("default", BUCKETS)
OWNER = Access("default", BUCKETS, any_bucket=True)
GRANTED = Access(
    "default",
    BUCKETS,
    (Grant("shop"), Grant("lake", "default/"), Grant("reports", "in/", read_only=True), Grant("x", "A/b/")),
)


def may(access: Access, uri: str) -> str:
    """Which of reading and writing is allowed: `rw`, `r`, `w` or nothing."""
    allowed = ""
    for letter, check in (("r", access.check_readable), ("w", access.check_writable)):
        with contextlib.suppress(Permanent):
            check(locations.parse(uri, "No."), "No.")
            allowed += letter
    return allowed


def test_an_s3_address_is_taken_apart() -> None:
    assert locations.parse("s3://shop/a/b.csv", "No.") == Location("shop", "a/b.csv")
    assert not locations.parse("s3://shop/a/b.csv", "No.").is_folder
    assert locations.parse("s3://shop/a/", "No.").is_folder
    assert locations.parse("s3://shop", "No.").is_folder


@pytest.mark.parametrize(
    "uri",
    [
        *("https://shop/a.csv", "s3:/shop/a", "s3://", "shop/a", "S3://shop/a", "s3:///a"),
        *("s3://shop/default/../other/a.csv", "s3://shop/..", "s3://shop/./a", "s3://shop/a\\..\\b"),
        *("s3://arn:aws:s3:us-east-1:111122223333:accesspoint:ap/a", "s3://shop/a\nb"),
    ],
)
def test_anything_else_is_refused_with_the_services_words(uri: str) -> None:
    with pytest.raises(Permanent, match="Invalid Data location"):
        locations.parse(uri, "Invalid Data location.")


@pytest.mark.parametrize("access", [ACCESS, OWNER, Access("default", BUCKETS, (Grant("*"),))])
@pytest.mark.parametrize("bucket", ["endcap-data", "endcap-uploads", "Endcap-Data", "ENDCAP-UPLOADS"])
@pytest.mark.parametrize(
    "key",
    [
        *("other/runs/1/items.csv", "", "default-2/a", "items.csv", "defaul/a", "Default/a", "/default/a"),
        *(
            "default%2Fa",
            "%2e%2e/other/a",
            "other%2F..%2Fdefault/a",
            "default//../other/a",
            "default//models/a",
        ),
    ],
)
def test_another_tenants_prefix_of_a_shared_bucket_is_refused(access: Access, bucket: str, key: str) -> None:
    assert may(access, f"s3://{bucket}/{key}") == ""
    # What is no folder becomes one in an output, and still none of another tenant.
    assert may(access, f"s3://{bucket}/default-2") == ""


@pytest.mark.parametrize("access", [ACCESS, OWNER, GRANTED])
def test_the_tenants_own_prefixes_may_be_used(access: Access) -> None:
    for uri in ("s3://endcap-data/default/runs/7/", "s3://endcap-uploads/default/items.csv"):
        assert may(access, uri) == "rw"
    assert may(access, "s3://endcap-data/default") == "rw"  # as a folder; no object has that name
    assert not access.is_readable(Location("endcap-data", "default"))
    assert not access.is_readable(Location("endcap-data", "default-2/a"))


@pytest.mark.parametrize("key", ["models/s/1/", "datasets/items/4/", "Models/s", "DATASETS", "models"])
def test_the_engines_own_folders_can_be_read_but_not_written(key: str) -> None:
    for access in (ACCESS, OWNER, GRANTED):
        assert may(access, f"s3://endcap-data/default/{key}") == "r"
    with pytest.raises(Permanent, match="keeps its own files"):
        ACCESS.check_writable(Location("endcap-data", f"default/{key}"), "No.")


def test_any_other_bucket_needs_a_grant_or_keys_of_the_store() -> None:
    for uri in ("s3://shop/a.csv", "s3://shop", "s3://endcap-data-2/default/a", "s3://backups/dump.sql"):
        assert may(ACCESS, uri) == ""
        assert may(OWNER, uri) == "rw"
        assert may(Access("default", BUCKETS, (Grant("*"),)), uri) == "rw"
    with pytest.raises(Permanent, match="Insufficient privileges for accessing data in S3"):
        ACCESS.check_readable(Location("shop", "a.csv"), "Invalid Data location.")


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("s3://shop", "rw"),
        ("s3://shop/a//b", "rw"),
        ("s3://shops/a", ""),
        ("s3://Shop/a", ""),
        ("s3://lake/default/a.csv", "rw"),
        ("s3://lake/default/", "rw"),
        ("s3://lake/default", "rw"),
        ("s3://lake/default-2/a.csv", ""),
        ("s3://lake/defaults", ""),
        ("s3://lake/", ""),
        ("s3://lake//default/a", ""),
        ("s3://lake/default//other", ""),
        ("s3://lake/Default/a", ""),
        ("s3://lake/default%2F../a", ""),
        ("s3://lake/other/default/a", ""),
        ("s3://reports/in/a.csv", "r"),
        ("s3://reports/in", "r"),
        ("s3://reports/in-2", ""),
        ("s3://x/A/b/c", "rw"),
        ("s3://x/a/b/c", ""),
    ],
)
def test_a_grant_covers_its_folder_and_nothing_else(uri: str, allowed: str) -> None:
    assert may(GRANTED, uri) == allowed


@pytest.mark.parametrize(
    ("uri", "grant"),
    [
        ("s3://shop", Grant("shop")),
        ("s3://shop/", Grant("shop")),
        ("s3://shop/in", Grant("shop", "in/")),
        ("s3://shop/in/of/", Grant("shop", "in/of/")),
        ("s3://*", Grant("*")),
    ],
)
def test_a_grant_is_a_bucket_or_a_folder(uri: str, grant: Grant) -> None:
    assert Grant.parse(uri, BUCKETS) == grant
    assert Grant.parse(grant.uri, BUCKETS) == grant


@pytest.mark.parametrize(
    "uri",
    [
        *("shop", "https://shop/", "s3://", "s3://*/in/", "s3://shop//in/", "s3://shop/in//of/"),
        *("s3://shop/../in/", "s3://endcap-data/default/", "s3://Endcap-Uploads", "s3://arn:aws:s3:::shop/"),
    ],
)
def test_what_is_no_grant_is_refused(uri: str) -> None:
    with pytest.raises(Permanent):
        Grant.parse(uri, BUCKETS)


def test_what_a_deletion_has_written_goes_file_by_file_and_imports_by_their_folders() -> None:
    keys = ("t/datasets/users/7/1/part-00000.parquet", "t/datasets/users/7/1/part-00001.parquet")
    mixed = locations.deletion_prefix("t", 9, 1) + "0/part-00000.parquet"

    assert locations.unused_prefixes("t", [*keys, mixed]) == {"t/datasets/users/7/1/", mixed}
