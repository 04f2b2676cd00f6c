"""Lists of items that are bought together, against a plain computation."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import orjson

from tests.integration.trainer.conftest import NOON, Trainer

PREFIX = "default/runs/7/snapshot/"
LENGTH = 5


async def lists(trainer: Trainer) -> dict[str, dict[str, float]]:
    files = await trainer.snapshots.take(
        "default", PREFIX, half_life_seconds=86_400.0, length=3, together_length=LENGTH
    )
    lines = [orjson.loads(line) for line in trainer.text(f"{PREFIX}bought-together.jsonl").splitlines()]
    assert files["bought-together"].rows == len(lines)
    return {
        line["input"]["itemId"]: dict(
            zip(line["output"]["recommendedItems"], line["output"]["scores"], strict=True)
        )
        for line in lines
    }


def expected(baskets: dict[Any, dict[str, datetime]], withdrawn: str) -> dict[str, dict[str, float]]:
    """Count as docs/training.md says."""
    items: Counter[str] = Counter(item for basket in baskets.values() for item in basket)
    common: Counter[tuple[str, str]] = Counter(
        (first, second)
        for basket in baskets.values()
        for first, second in permutations(basket, 2)
        if basket[second] >= basket[first]
    )
    scores: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (first, second), count in common.items():
        if count >= 2 and second != withdrawn:
            cosine = count / math.sqrt(items[first] * items[second])
            scores[first][second] = cosine * count / (count + 10)
    return {
        first: dict(sorted(by_item.items(), key=lambda each: (-each[1], each[0]))[:LENGTH])
        for first, by_item in scores.items()
    }


async def test_the_lists_count_baskets_of_orders_and_of_days(trainer: Trainer) -> None:
    rng = random.Random(5)
    for number in range(8):
        await trainer.item(f"i{number}", available=number != 3)
    baskets: defaultdict[Any, dict[str, datetime]] = defaultdict(dict)
    for n in range(160):
        user, item, day = f"u{n % 9}", f"i{rng.randrange(8)}", NOON - timedelta(days=rng.randrange(3))
        at, order = day + timedelta(minutes=rng.randrange(200)), f"o{n % 9}-{day.day}" if n % 2 else None
        await trainer.happened(user, item, event_type="purchase", occurred_at=at, order_id=order)
        basket = baskets[user, order or day.date()]
        basket[item] = min(at, basket.get(item, at))
    await trainer.happened("u1", "i0", event_type="view")

    computed, plain = await lists(trainer), expected(baskets, withdrawn="i3")

    assert computed.keys() == plain.keys()
    assert plain
    for item, scores in plain.items():
        assert list(computed[item]) == list(scores), item
        for other, score in scores.items():
            assert abs(computed[item][other] - score) < 1e-6, (item, other)


async def test_purchases_of_traders_and_pairs_of_one_basket_do_not_count(trainer: Trainer) -> None:
    for number in range(51):
        for order in ("a", "b"):
            await trainer.happened("trader", f"i{number}", event_type="purchase", order_id=order)
    await trainer.happened("u1", "i1", event_type="purchase", order_id="c")
    await trainer.happened("u1", "i2", event_type="purchase", order_id="c")

    assert await lists(trainer) == {}
