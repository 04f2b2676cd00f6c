"""Popularity lists of categories, against a plain computation."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import orjson

from tests.integration.trainer.conftest import NOON, Trainer

HALF_LIFE_DAYS = 30.0
LENGTH = 4
PREFIX = "default/runs/7/snapshot/"
LINES = "default/runs/7/lists.out"


async def category_lists(trainer: Trainer, categories: int) -> dict[str, dict[str, float]]:
    files = await trainer.snapshots.take(
        "default",
        PREFIX,
        half_life_seconds=HALF_LIFE_DAYS * 86_400,
        length=LENGTH,
        categories=categories,
    )
    await trainer.snapshots.popularity_lines(files["popularity"].key, LINES)
    lines = [orjson.loads(line) for line in trainer.text(LINES).splitlines()]
    return {
        kind_and_name.partition(":")[2]: dict(
            zip(line["output"]["recommendedItems"], line["output"]["scores"], strict=True)
        )
        for line in lines
        if (kind_and_name := line["input"]["listId"]).startswith("category:")
    }


async def test_categories_have_the_decayed_popularity_of_their_items(trainer: Trainer) -> None:
    names = ["tea", "coffee", "tea|coffee", "tea | tea", "", None]
    categories = {f"i{n}": names[n % len(names)] for n in range(12)}
    for item_id, category in categories.items():
        await trainer.item(item_id, category=category, available=item_id != "i6")
    weights: dict[tuple[str, str], float] = {}
    for n in range(60):
        user_id, item_id, days = f"u{n % 7}", f"i{n * n % 12}", n % 50
        await trainer.happened(user_id, item_id, occurred_at=NOON - timedelta(days=days))
        # A user counts once for an item, by the newest interaction.
        weight = 0.5 ** (days / HALF_LIFE_DAYS)
        weights[user_id, item_id] = max(weight, weights.get((user_id, item_id), 0.0))

    expected: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (_, item_id), weight in weights.items():
        for name in {part.strip() for part in (categories[item_id] or "").split("|")} - {""}:
            if item_id != "i6":
                expected[name][item_id] += weight
    best = {
        name: dict(sorted(scores.items(), key=lambda each: (-each[1], each[0]))[:LENGTH])
        for name, scores in expected.items()
    }
    lists = await category_lists(trainer, 100)

    assert {name: list(scores) for name, scores in lists.items()} == {
        name: list(scores) for name, scores in best.items()
    }
    for name, scores in best.items():
        for item_id, score in scores.items():
            assert abs(lists[name][item_id] - score) < 1e-6, (name, item_id)


async def test_only_the_most_popular_categories_have_a_list(trainer: Trainer) -> None:
    for number in range(5):
        await trainer.item(f"i{number}", category=f"c{number}")
        for user in range(number + 1):
            await trainer.happened(f"u{user}", f"i{number}")

    assert set(await category_lists(trainer, 2)) == {"c3", "c4"}
