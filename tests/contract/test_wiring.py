"""The wiring of each service: the registry of topics, AsyncAPI documents."""

from __future__ import annotations

import pytest

from deploy.local.ports import SERVICES
from shared.events.topics import TOPICS
from tests.contract.documents import asyncapi, asyncapi_path
from tests.contract.wiring import wiring_of


@pytest.mark.parametrize("service", SERVICES)
def test_the_registry_says_what_a_service_does(service: str) -> None:
    wiring = wiring_of(service)

    assert wiring.published == {topic for topic in TOPICS if service in topic.producers}
    assert wiring.consumed == {topic for topic in TOPICS if service in topic.consumers}
    assert wiring.read_whole == {topic for topic in TOPICS if service in topic.readers}
    assert wiring.looked_up == {topic for topic in TOPICS if service in topic.lookups}


@pytest.mark.parametrize("service", SERVICES)
def test_the_committed_asyncapi_document_is_what_faststream_generates(service: str) -> None:
    committed = asyncapi_path(service).read_bytes()

    assert committed == asyncapi(service), "run `make contracts` and commit the change"
