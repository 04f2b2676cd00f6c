"""Campaigns with metadata, contexts and filters, and a boto3 client that asks them."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from services.engine.computations.context_counts import ContextCounter
from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.recipes import RECIPES, Dataset, train
from shared.events import FilterChanged
from shared.events.topics import CAMPAIGNS, FILTERS
from shared.models import fingerprint, save
from tests.component.recommender.campaigns import arn, campaign, client, loaded, upload_models

if TYPE_CHECKING:
    from tests.support.stack import ObjectStore


TEAS = [f"tea-{n}" for n in range(12)]
BOLTS = [f"bolt-{n}" for n in range(12)]
DAY = 86_400
RECIPES_OF = {
    "user": "aws-user-personalization",
    "similar": "aws-similar-items",
    "daring": "aws-user-personalization",
    "second": "aws-user-personalization-v2",
    "silent": "aws-user-personalization-v2",
}
DARING = {"itemExplorationConfig": {"explorationWeight": "1", "explorationItemAgeCutOff": "30"}}
PLAIN = {
    "itemExplorationConfig": {"explorationWeight": "0"},
    "enableMetadataWithRecommendations": True,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "daring": DARING,
    "second": {},
    "silent": {"enableMetadataWithRecommendations": False},
}
FILTER_TEXTS = {
    "kind": "INCLUDE ItemID WHERE Items.GENRES IN ($KIND)",
    "not-kind": "EXCLUDE ItemID WHERE Items.GENRES IN ($KIND)",
    "cheap": "INCLUDE ItemID WHERE Items.PRICE < 3",
    "deleted": "INCLUDE ItemID WHERE Items.PRICE < 3",
    "unbought": 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("Purchase")',
    "again": 'INCLUDE ItemID WHERE Interactions.event_type = "purchase"',
    "adults": 'EXCLUDE ItemID WHERE Items.GENRES IN ("tea") IF CurrentUser.AGE < 18',
    "like-this": "INCLUDE ItemID WHERE Items.PRICE < 2 | EXCLUDE ItemID WHERE Items.GENRES IN ($KIND)",
}


def dataset() -> Dataset:
    """Return forty users of tea and forty of bolts; the last two items of each are new and never sold."""
    rng, now, rows = random.Random(1), int(time.time()), []
    for user in range(80):
        wares = (TEAS if user % 2 == 0 else BOLTS)[:10]
        rows += [
            (f"u{user}", item, now - DAY * (n + 1) - user, "Purchase" if n == 0 else "View")
            for n, item in enumerate(rng.sample(wares, 6))
        ]
    columns = zip(*rows, strict=True)
    interactions = pa.table(
        dict(zip(("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE"), columns, strict=True))
    )
    items = pa.table(
        {
            "ITEM_ID": TEAS + BOLTS,
            "GENRES": ["tea|drink"] * 12 + ["bolt"] * 12,
            "PRICE": [float(n) for n in range(12)] * 2,
            "NAME": [item.replace("-", "") for item in TEAS + BOLTS],
            "CREATION_TIMESTAMP": ([now - 300 * DAY] * 10 + [now - DAY] * 2) * 2,
        }
    )
    users = pa.table({"USER_ID": [f"u{n}" for n in range(80)], "AGE": [10 + n for n in range(80)]})
    return Dataset.from_arrow(interactions, items, users)


def devices() -> ContextCounter:
    """Teas with even numbers are viewed on phones, those with odd numbers on desktops."""
    tally = ContextCounter(["DEVICE"])
    teas = TEAS[:10] * 20
    device = [("phone", "desk")[n % 2] for n in range(10)] * 20
    tally.add(pa.table({"ITEM_ID": teas, "DEVICE": device}))
    return tally


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Yield a model per recipe, and the purchases in its training data."""
    shop, made = dataset(), {}
    for recipe in set(RECIPES_OF.values()):
        made[recipe] = tmp_path_factory.mktemp(recipe)
        model, _ = train(RECIPES[recipe], shop, TrainingConfig())
        save(replace(model, context=devices().context(["DEVICE", "NOTE"], model.items)), made[recipe])
    return made


@pytest.fixture(scope="module")
def models(s3: ObjectStore, module_bucket: str, folders: dict[str, Path]) -> str:
    """Return the bucket with the models."""
    upload_models(s3.client(), module_bucket, folders)
    return module_bucket


class Asking:
    """An unmodified boto3 client in a thread."""

    def __init__(self, url: str) -> None:
        self.boto = client(url)

    async def list_of(self, name: str = "user", **members: Any) -> Any:
        """GetRecommendations."""
        if "promotions" not in members:
            members = {"numResults": 24, **members}
        return await asyncio.to_thread(self.boto.get_recommendations, campaignArn=arn(name), **members)

    async def rank(self, **members: Any) -> Any:
        """GetPersonalizedRanking."""
        return await asyncio.to_thread(self.boto.get_personalized_ranking, campaignArn=arn("user"), **members)


@pytest.fixture(scope="module")
async def shop(module_world: Any, s3: ObjectStore, models: str, folders: dict[str, Path]) -> Any:
    """Return the campaigns and the filters, which the tests of a module share."""
    return await _prepared(module_world, s3, models, folders)


@pytest.fixture(scope="module")
async def ask(shop: Any) -> AsyncIterator[Asking]:
    """Yield a client of the recommender that the tests of a module share; each changes its own users."""
    async with _asking(shop) as asking:
        yield asking


@pytest.fixture
async def own_shop(world: Any, s3: ObjectStore, models: str, folders: dict[str, Path]) -> Any:
    """Return campaigns and filters for a test that changes items or what was shown."""
    return await _prepared(world, s3, models, folders)


@pytest.fixture
async def own_ask(own_shop: Any) -> AsyncIterator[Asking]:
    """Yield a client of a recommender of the test's own."""
    async with _asking(own_shop) as asking:
        yield asking


async def _prepared(world: Any, store: ObjectStore, models: str, folders: dict[str, Path]) -> Any:
    world.store = store
    await world.keys()
    for name, recipe in RECIPES_OF.items():
        config = CONFIGS.get(name, PLAIN)
        sha256 = fingerprint(folders[recipe])
        await world.publish(CAMPAIGNS, campaign(world, name, recipe, models, sha256, **config))
    await world.publish(FILTERS, *(announced(world, name, text) for name, text in FILTER_TEXTS.items()))
    return world


@asynccontextmanager
async def _asking(shop: Any) -> AsyncIterator[Asking]:
    """Run the recommender until everything is in memory, and its worker."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(shop.worker())
        url = await stack.enter_async_context(shop.listening())
        await loaded(url, shop.tenant, len(RECIPES_OF))
        yield Asking(url)


def announced(world: Any, name: str, expression: str) -> FilterChanged:
    return FilterChanged(
        event_id=str(uuid.uuid4()),
        tenant=world.tenant,
        occurred_at=datetime.now(UTC),
        name=name,
        arn=f"arn:aws:personalize:us-east-1:{world.account}:filter/{name}",
        status="ACTIVE",
        expression=expression,
    )


def filter_arn(name: str) -> str:
    return f"arn:aws:personalize:us-west-2:999999999999:filter/{name}"


def reasons(answer: Any) -> dict[str, list[str]]:
    return {item["itemId"]: item["reason"] for item in answer["itemList"] if "reason" in item}
