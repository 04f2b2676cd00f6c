"""A recommendationId identifies its campaign and looks like that of Amazon Personalize."""

from __future__ import annotations

import uuid

import pytest

from shared.aws.personalize.recommendation_ids import is_from, new_id


def test_it_has_the_form_of_the_service() -> None:
    found = {new_id("shop", "home") for _ in range(100)}

    assert len(found) == 100
    assert {len(each) for each in found} == {40}
    assert {uuid.UUID(each.removeprefix("RID-")).version for each in found} == {4}
    assert len({each[-10:] for each in found}) == 100


def test_it_is_from_the_campaign_that_gave_it() -> None:
    given = new_id("shop", "home")

    assert is_from(given, "shop", "home")
    assert is_from(given.upper(), "shop", "home")
    assert not is_from(given, "shop", "cart")
    assert not is_from(given, "other", "home")


@pytest.mark.parametrize(
    "given", ["", "RID-", "mine", "RID-12345", "RID-1f0c6d52-8a5e-4b7e-9d3c-6a2b1c0d9e8f"]
)
def test_what_somebody_made_up_is_from_nobody(given: str) -> None:
    assert not is_from(given, "shop", "home")
