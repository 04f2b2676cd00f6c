from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from string import ascii_lowercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.trainer.domain import (
    DATASET_TYPES,
    Run,
    StoredFile,
    manifest,
    recipes,
    resource_name,
    schema,
    schema_name,
)

NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9\-_]{0,62}$")
_LETTERS = ascii_lowercase + digits
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_run(run: int = 7, tenant: str = "default") -> Run:
    return Run(run, tenant, "running", (), CREATED, CREATED)


def test_amazon_has_no_recipe_of_ours() -> None:
    assert [recipe.name for recipe in recipes(amazon=True)] == ["user-personalization", "similar-items"]
    assert "item-affinity" in [recipe.name for recipe in recipes(amazon=False)]


def test_the_name_of_a_job_repeats_and_says_whose_it_is() -> None:
    assert a_run().job_name("similar-items") == "default-7-260102030405-similar-items"
    assert a_run().job_name("similar-items") == a_run().job_name("similar-items")
    assert a_run().job_name("similar-items") != a_run(8).job_name("similar-items")


@given(
    st.builds(str.__add__, st.sampled_from(_LETTERS), st.text(_LETTERS + "-", max_size=80)),
    st.integers(1, 10**12),
)
def test_every_name_is_one_that_the_api_takes(tenant: str, run: int) -> None:
    assert NAME.match(a_run(run, tenant).job_name("user-personalization"))
    assert NAME.match(resource_name(tenant, "user-personalization"))


def test_long_tenants_that_begin_alike_get_different_names() -> None:
    assert resource_name("a" * 70 + "1", "items") != resource_name("a" * 70 + "2", "items")


@pytest.mark.parametrize("kind", DATASET_TYPES)
def test_a_schema_is_valid_avro_with_what_the_api_requires(kind: str) -> None:
    document = json.loads(schema(kind))  # type: ignore[arg-type]
    columns = [field["name"] for field in document["fields"]]

    assert document["namespace"] == "com.amazonaws.personalize.schema"
    required = {
        "INTERACTIONS": ["USER_ID", "ITEM_ID", "TIMESTAMP"],
        "ITEMS": ["ITEM_ID"],
        "USERS": ["USER_ID"],
    }
    assert columns[: len(required[kind])] == required[kind]
    assert len(columns) > len(required[kind]) or kind == "INTERACTIONS"
    assert NAME.match(schema_name(kind))  # type: ignore[arg-type]


def test_the_manifest_names_every_file_of_the_run() -> None:
    file = StoredFile("default/runs/7/batch/popularity/lists.jsonl.out", 3, 100, "ab" * 32)
    page = manifest(
        a_run(),
        CREATED,
        {"similar-items": {"name": "j", "arn": "a"}},
        {"popularity": [file.document()], "similar-items": [file.document()]},
    )

    assert (page["version"], page["tenant"], page["run"]) == (1, "default", 7)
    assert page["recipes"]["similar-items"]["job_arn"] == "a"
    assert page["recipes"]["similar-items"]["engine_recipe"] == "aws-similar-items"
    assert page["recipes"]["popularity"]["files"] == [file.document()]
