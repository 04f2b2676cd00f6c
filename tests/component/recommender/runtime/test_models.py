"""When a model is loaded, replaced or left out."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset
from shared.events.topics import CACHES, CAMPAIGNS
from shared.models import fingerprint, save
from tests.component.recommender.campaigns import arn, campaign, client, ids, loaded, upload_models
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.stack import ObjectStore
from tests.component.recommender.runtime.conftest import FITTED, history


async def test_the_first_answer_of_a_new_campaign_waits_for_its_model(
    own_shop: Any, models: str, folders: dict[str, Path]
) -> None:
    sha256 = fingerprint(folders["aws-user-personalization"])
    async with own_shop.listening() as url:
        await loaded(url, own_shop.tenant)
        runtime = client(url)
        await own_shop.publish(
            CAMPAIGNS, campaign(own_shop, "fresh", "aws-user-personalization", models, sha256)
        )

        answers: list[Any] = []

        async def answered() -> bool:
            request = {"campaignArn": arn("fresh"), "userId": "u0", "numResults": 5}
            with contextlib.suppress(runtime.exceptions.ResourceNotFoundException):
                answers.append(await asyncio.to_thread(lambda: runtime.get_recommendations(**request)))
            return bool(answers)

        await eventually(answered)
        assert len(ids(answers[0])) == 5


async def test_a_changed_model_is_not_loaded_and_lists_answer(
    own_shop: Any, models: str, folders: dict[str, Path]
) -> None:
    await own_shop.activate(7, 1, ["user-personalization", "popularity"])
    await own_shop.lists(7, "user-personalization", {"u0": [("listed", 0.5)]})
    await own_shop.lists(7, "popularity", {"all": [("famous", 0.5)]})
    await own_shop.publish(CACHES, own_shop.pointer(1, user_personalization=7, popularity=7))
    await own_shop.publish(
        CAMPAIGNS, campaign(own_shop, "wrong", "aws-user-personalization", models, "0" * 64)
    )
    await own_shop.publish(
        CAMPAIGNS, campaign(own_shop, "soon", "aws-sims", models, "1" * 64, "CREATE PENDING")
    )
    async with own_shop.listening() as url:
        await loaded(url, own_shop.tenant, len(FITTED))
        runtime = client(url)

        async def listed() -> bool:
            answer = await asyncio.to_thread(
                runtime.get_recommendations, campaignArn=arn("wrong"), userId="u0"
            )
            return ids(answer) == ["listed"]

        await eventually(listed)
        unknown = await asyncio.to_thread(runtime.get_recommendations, campaignArn=arn("wrong"), userId="x")
        assert ids(unknown) == ["famous"]
        with pytest.raises(runtime.exceptions.ResourceNotFoundException, match="CREATE PENDING"):
            await asyncio.to_thread(runtime.get_recommendations, campaignArn=arn("soon"), itemId="i")


async def test_a_new_model_is_swapped_in_without_a_failed_request(
    own_shop: Any, bucket: str, s3: ObjectStore, tmp_path: Path
) -> None:
    model = RECIPES["aws-user-personalization"].fit(
        Dataset.from_arrow(history().slice(0, 240)), TrainingConfig(), silent
    )
    save(model, tmp_path / "next")
    upload_models(s3.client(), bucket, {"next": tmp_path / "next"})
    changed = campaign(own_shop, "user", "aws-user-personalization", bucket, fingerprint(tmp_path / "next"))
    async with own_shop.listening() as url:
        await loaded(url, own_shop.tenant, len(FITTED))
        runtime = client(url)
        answers: list[Any] = []

        async def keep_asking() -> None:
            while True:
                answers.append(
                    await asyncio.to_thread(
                        runtime.get_recommendations, campaignArn=arn("user"), userId="u0", numResults=3
                    )
                )

        asking = asyncio.create_task(keep_asking())
        await asyncio.sleep(0.2)
        await own_shop.publish(
            CAMPAIGNS, changed.model_copy(update={"model_uri": f"s3://{bucket}/models/next"})
        )
        await eventually((own_shop.models / changed.model_sha256).is_dir)
        await asyncio.sleep(0.5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    assert len(answers) > 5
    assert all(len(ids(answer)) == 3 for answer in answers)
