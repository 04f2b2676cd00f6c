"""The committed OpenAPI documents are those of the running code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.local.ports import SERVICES
from tests.contract.documents import openapi, openapi_path


@pytest.mark.parametrize("service", SERVICES)
def test_the_committed_page_is_what_the_code_says(service: str) -> None:
    committed = openapi_path(service).read_bytes()

    assert committed == openapi(service), "run `make contracts` and commit the change"


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_says_what_it_does_and_how_it_fails(service: str) -> None:
    page = json.loads(openapi_path(service).read_text())

    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in page["paths"].items()
        for method, operation in methods.items()
    ]

    assert operations
    for name, operation in operations:
        assert operation.get("summary"), name
        assert operation.get("operationId"), name
        assert {"400", "401", "503"} <= operation["responses"].keys(), name
        assert "422" not in operation["responses"], f"{name}: a bad request is a 400 with our error body"


@pytest.mark.parametrize("service", SERVICES)
def test_operation_ids_are_unique(service: str) -> None:
    page = json.loads(openapi_path(service).read_text())

    ids = [operation["operationId"] for methods in page["paths"].values() for operation in methods.values()]

    assert len(ids) == len(set(ids))


def test_errors_have_one_shape_everywhere() -> None:
    def body(service: str) -> Any:
        page = json.loads(openapi_path(service).read_text())
        return page["components"]["schemas"]["ErrorBody"]

    assert len({json.dumps(body(service), sort_keys=True) for service in SERVICES}) == 1
