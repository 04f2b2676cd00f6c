"""The running services, and what their tenant has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.settings import KafkaSettings
from tests.component.fuzz.installation import Installation, running
from tests.component.fuzz.shop import filled
from tests.support.stack import Components, Database, ObjectStore


@pytest.fixture(scope="module")
def installation(
    components: Components,
    module_database: Database,
    s3: ObjectStore,
    kafka_settings: KafkaSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("fuzz")
    with running(components, module_database, s3, kafka_settings, folder) as started:
        yield started


@pytest.fixture(scope="module")
def made(installation: Installation) -> dict[str, str]:
    return filled(installation)
