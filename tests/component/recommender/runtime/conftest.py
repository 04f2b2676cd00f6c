"""Campaigns of a shop that sells tea and bolts, with their models in the object store."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset
from shared.events.topics import CAMPAIGNS
from shared.models import fingerprint, save
from tests.component.recommender.campaigns import campaign, loaded, upload_models

if TYPE_CHECKING:
    from tests.support.stack import ObjectStore


TEAS = [f"tea-{n}" for n in range(12)]
BOLTS = [f"bolt-{n}" for n in range(12)]
FITTED = (
    "aws-user-personalization",
    "aws-similar-items",
    "aws-popularity-count",
    "aws-personalized-ranking",
)


def history() -> pa.Table:
    """Forty users who bought tea and forty who bought bolts, in the last weeks."""
    rng, now, rows = random.Random(1), int(time.time()), []
    for user in range(80):
        wares = TEAS if user % 2 == 0 else BOLTS
        rows += [
            (f"u{user}", item, now - 86_400 * (n + 1) - user, "view")
            for n, item in enumerate(rng.sample(wares, 6))
        ]
    columns = zip(*rows, strict=True)
    return pa.table(dict(zip(("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE"), columns, strict=True)))


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of the same shop."""
    dataset, made = Dataset.from_arrow(history()), {}
    for name in FITTED:
        made[name] = tmp_path_factory.mktemp(name)
        save(RECIPES[name].fit(dataset, TrainingConfig(), silent), made[name])
    return made


@pytest.fixture(scope="module")
def models(s3: ObjectStore, module_bucket: str, folders: dict[str, Path]) -> str:
    """Return the bucket with the models."""
    upload_models(s3.client(), module_bucket, folders)
    return module_bucket


@pytest.fixture(scope="module")
async def shop(module_world: Any, s3: ObjectStore, models: str, folders: dict[str, Path]) -> Any:
    """Return the campaigns that the tests of a module share."""
    return await _announced(module_world, s3, models, folders)


@pytest.fixture(scope="module")
async def url(shop: Any) -> AsyncIterator[str]:
    """Yield the URL of the recommender that the tests of a module share; its worker runs too."""
    async with shop.listening() as address, shop.worker():
        await loaded(address, shop.tenant, len(FITTED))
        yield address


@pytest.fixture
async def own_shop(world: Any, s3: ObjectStore, models: str, folders: dict[str, Path]) -> Any:
    """Return campaigns for a test that changes their items, lists or models."""
    return await _announced(world, s3, models, folders)


async def _announced(world: Any, store: ObjectStore, models: str, folders: dict[str, Path]) -> Any:
    """Publish the campaigns `user`, `similar`, `popular` and `ranking`."""
    world.store = store
    await world.keys()
    for name, recipe in (
        ("user", "aws-user-personalization"),
        ("similar", "aws-similar-items"),
        ("popular", "aws-popularity-count"),
        ("ranking", "aws-personalized-ranking"),
    ):
        await world.publish(CAMPAIGNS, campaign(world, name, recipe, models, fingerprint(folders[recipe])))
    return world
