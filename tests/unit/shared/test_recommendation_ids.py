"""A recommendationId identifies its source, its time and its partition, and cannot be made up."""

from __future__ import annotations

import hashlib
import time
import uuid

import pytest

from shared.aws.personalize.recommendation_ids import (
    RecommendationIds,
    is_from,
    is_unsigned,
    parse,
    signing_key,
    source_among,
    verify,
)

KEY = signing_key("a secret")
NOW = int(time.time() * 1000)


def new_id(tenant: str = "shop", source: str = "home", partition: int = 3) -> str:
    return RecommendationIds(KEY).new(tenant, source, partition, NOW)


def unsigned_id(tenant: str, campaign: str) -> str:
    """Return an id as releases up to 0.3.0 made them."""
    nonce = uuid.uuid4().bytes[:11]
    digest = hashlib.blake2b(nonce + f"{tenant}:{campaign}".encode(), digest_size=5).digest()
    return f"RID-{uuid.UUID(bytes=nonce + digest)}"


def test_it_fits_into_the_events_of_the_service() -> None:
    ids = RecommendationIds(KEY)
    made = [ids.new("shop", "home", 3, NOW) for _ in range(5000)]

    assert len(set(made)) == 5000
    assert {len(each) for each in made} == {36}


def test_it_has_its_time_and_partition() -> None:
    signed = parse(new_id(partition=11))

    assert signed is not None
    assert (signed.milliseconds, signed.partition) == (NOW, 11)


def test_it_is_verified_for_its_tenant_with_its_key() -> None:
    made = new_id()

    assert verify(made, "shop", KEY)
    assert not verify(made, "other", KEY)
    assert not verify(made, "shop", signing_key("another secret"))


@pytest.mark.parametrize("position", range(4, 36))
def test_a_change_of_any_character_is_noticed(position: int) -> None:
    made = new_id()
    changed = made[:position] + ("A" if made[position] != "A" else "B") + made[position + 1 :]

    assert not verify(changed, "shop", KEY)


@pytest.mark.parametrize("make", [new_id, unsigned_id])
def test_it_is_from_the_source_that_gave_it(make: object) -> None:
    made = make("shop", "home")  # type: ignore[operator] # both are functions

    assert is_from(made, "shop", "home")
    assert not is_from(made, "shop", "cart")
    assert not is_from(made, "other", "home")
    assert source_among([("cart", "arn:1"), ("home", "arn:2")], "shop")(made) == "arn:2"


def test_an_id_of_earlier_releases_is_read_without_regard_to_case() -> None:
    made = unsigned_id("shop", "home")

    assert is_from(made.upper(), "shop", "home")
    assert is_unsigned(made)
    assert not is_unsigned(new_id())
    assert not verify(made, "shop", KEY)


@pytest.mark.parametrize(
    "made_up",
    ["", "RID-", "mine", "RID-12345", "RID-1f0c6d52-8a5e-4b7e-9d3c-6a2b1c0d9e8f", "RID-" + "a" * 32],
)
def test_what_somebody_made_up_is_from_nobody(made_up: str) -> None:
    assert not is_from(made_up, "shop", "home")
    assert not verify(made_up, "shop", KEY)
