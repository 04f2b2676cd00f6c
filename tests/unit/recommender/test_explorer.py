"""Bonuses are computed once for concurrent requests, and released with their campaign."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.deployed_campaign import DeployedCampaign
from services.recommender.domain.filterable_items import FilterableItems
from services.recommender.serving import exploration as module
from services.recommender.serving.exploration import Explorer
from services.recommender.serving.targets import Target
from shared.events import CampaignChanged
from shared.models import Attributes, Histories, Ids, Model, Scoring, SeenItems
from tests.support.waiting import eventually


class Counts:
    """A stub without impressions that answers when the event is set."""

    def __init__(self) -> None:
        self.reads = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def of_items(self, _: str, items: Sequence[str]) -> list[int]:
        self.reads += 1
        await self.answers.wait()
        return [0] * len(items)


def a_target() -> Target:
    empty = np.zeros(0, np.int32)
    model = Model(
        recipe="aws-user-personalization",
        scoring=Scoring(kind="user", scored=True),
        items=Ids.of("abcd"),
        users=Ids.of([]),
        popularity=np.zeros(4, np.float32),
        histories=Histories(np.zeros(1, np.int64), empty, empty.astype(np.int16), empty.astype(np.int64)),
        older=SeenItems(np.zeros(1, np.int64), empty),
        first_event_times=np.array([1_000, 1_000, 0, 0]),
        newest_event_time=1_000,
    )
    campaign = CampaignChanged(
        event_id="e",
        tenant="shop",
        occurred_at=datetime.now(UTC),
        name="c",
        arn="arn:aws:personalize:eu-west-1:000000000000:campaign/c",
        status="ACTIVE",
        recipe="aws-user-personalization",
        solution_version_arn="v",
        model_uri="s3://bucket/model",
        model_sha256="0" * 64,
        config={"itemExplorationConfig": {"explorationWeight": "0.5"}},
    )
    filterable_items = FilterableItems(model.items.strings, model.items.numbers, Attributes(), Catalogue())
    return Target("shop", "user-personalization", DeployedCampaign(campaign, model, filterable_items))


async def test_the_cache_releases_a_deleted_campaign() -> None:
    explorer, target = Explorer(cast("Any", Counts())), a_target()
    assert await explorer.bonus(target) is not None
    assert target.model is not None
    model_reference = weakref.ref(target.model)
    assert target.deployed is not None
    assert target.deployed.filterable_items is not None
    items_reference = weakref.ref(target.deployed.filterable_items)

    del target
    gc.collect()
    assert model_reference() is None
    assert items_reference() is None
    assert len(explorer._cache) == 0


async def test_one_request_reads_new_counts_while_the_others_use_the_old_bonus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = Counts()
    explorer, target = Explorer(cast("Any", counts)), a_target()
    now = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    first = await explorer.bonus(target)
    assert await explorer.bonus(target) is first
    assert counts.reads == 1

    now[0] += module.BONUS_SECONDS
    counts.answers.clear()
    asking = asyncio.create_task(explorer.bonus(target))
    await eventually(lambda: counts.reads == 2)
    assert await explorer.bonus(target) is first
    counts.answers.set()
    second = await asking
    assert second is not first
    assert await explorer.bonus(target) is second
    assert counts.reads == 2
