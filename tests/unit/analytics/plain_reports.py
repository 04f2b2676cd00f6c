"""The collaborative reports, counted again row by row, without any code of the service."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

Rows = Iterable[Mapping[str, Any]]


@dataclass
class Baskets:
    """Products by order, orders by product, and pairs of products that share two orders."""

    products: dict[str, set[str]]
    orders: dict[str, set[str]]
    pairs: dict[tuple[str, str], int]

    @classmethod
    def of(cls, rows: Rows) -> Baskets:
        products, orders = defaultdict(set), defaultdict(set)
        for row in rows:
            products[row["order_id"]].add(row["item_id"])
            orders[row["item_id"]].add(row["order_id"])
        counts = Counter(pair for basket in products.values() for pair in combinations(sorted(basket), 2))
        return cls(products, orders, {pair: count for pair, count in counts.items() if count >= 2})

    def cosine(self, pair: tuple[str, str]) -> float:
        return self.pairs[pair] / math.sqrt(len(self.orders[pair[0]]) * len(self.orders[pair[1]]))


def pairs(rows: list[Mapping[str, Any]], baskets: Baskets, limit: int) -> list[dict[str, Any]]:
    revenue: Counter[tuple[str, str]] = Counter()
    for row in rows:
        revenue[row["order_id"], row["item_id"]] += row["quantity"] * row["price"]
    answers = []
    for pair, count in sorted(baskets.pairs.items(), key=lambda each: (-each[1], each[0]))[:limit]:
        a, b = sorted(pair, key=lambda item: (len(baskets.orders[item]), item))
        both = baskets.orders[a] & baskets.orders[b]
        share = count / len(baskets.orders[a])
        answers.append(
            {
                "product_a_id": a,
                "product_b_id": b,
                "co_recommendation_count": count,
                "combined_revenue": sum(revenue[order, item] for order in both for item in (a, b)),
                "support": count / len(baskets.products),
                "confidence": share,
                "reverse_confidence": count / len(baskets.orders[b]),
                "lift": share / (len(baskets.orders[b]) / len(baskets.products)),
                "similarity_score": baskets.cosine(pair),
            }
        )
    return answers


def products(rows: list[Mapping[str, Any]], baskets: Baskets) -> dict[str, dict[str, float]]:
    similarities = defaultdict(list)
    for pair in baskets.pairs:
        for item in pair:
            similarities[item].append(baskets.cosine(pair))
    revenue: Counter[str] = Counter()
    for row in rows:
        revenue[row["item_id"]] += row["quantity"] * row["price"]
    return {
        item: {
            "recommendation_count": len(similarities[item]),
            "avg_similarity_score": sum(similarities[item]) / max(len(similarities[item]), 1),
            "total_revenue": revenue[item],
            "order_count": len(baskets.orders[item]),
        }
        for item in baskets.orders
    }


def customers(rows: list[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every customer's similar customers, neighbours and candidates."""
    sets = defaultdict(set)
    for row in rows:
        if row["user_id"] is not None:
            sets[row["user_id"]].add(row["item_id"])
    answers = {}
    for user, mine in sets.items():
        shared = {other: len(mine & theirs) for other, theirs in sets.items() if other != user}
        similar = {
            other: count / math.sqrt(len(mine) * len(sets[other]))
            for other, count in shared.items()
            if count >= 2
        }
        nearest = sorted(similar, key=lambda other: (-similar[other], other))[:50]
        buyers = Counter(item for other in nearest for item in sets[other] - mine)
        top = Counter(item for other in similar for item in sets[other] & mine)
        answers[user] = {
            "similar_customers_count": len(similar),
            "avg_similarity_score": sum(similar[other] for other in nearest) / max(len(nearest), 1),
            "actual_recommendations": sum(count >= 2 for count in buyers.values()),
            "shared": [count for _, count in sorted(top.items(), key=lambda each: (-each[1], each[0]))[:3]],
        }
    return answers


def hit_rate(rows: list[Mapping[str, Any]], whole: Baskets) -> tuple[int, int]:
    """Return the number of last orders that can be predicted, and of those that ten products predict."""
    times, owners = {}, {}
    for row in rows:
        times[row["order_id"]], owners[row["order_id"]] = row["ordered_at"], row["user_id"]
    number = {order: place for place, order in enumerate(dict.fromkeys(row["order_id"] for row in rows))}
    history = defaultdict(list)
    for order in sorted(times, key=lambda order: (times[order], number[order])):
        if owners[order] is not None:
            history[owners[order]].append(order)
    held_out = {orders[-1]: user for user, orders in history.items() if len(orders) > 1}
    known = Baskets.of(row for row in rows if row["order_id"] not in held_out)
    similarity = defaultdict(dict)
    for pair in known.pairs:
        similarity[pair[0]][pair[1]] = similarity[pair[1]][pair[0]] = known.cosine(pair)
    codes = {item: place for place, item in enumerate(dict.fromkeys(row["item_id"] for row in rows))}
    evaluated = hits = 0
    for order in sorted(held_out, key=lambda order: (-times[order].timestamp(), number[order])):
        had = {item for earlier in history[held_out[order]][:-1] for item in whole.products[earlier]}
        new = whole.products[order] - had
        if not new or evaluated == 1_000:
            continue
        scores: Counter[str] = Counter()
        for item in had:
            for other, value in similarity[item].items():
                if other not in had:
                    scores[other] += value
        best = sorted(scores, key=lambda item: (-round(scores[item], 12), codes[item]))[:10]
        evaluated += 1
        hits += bool(new & set(best))
    return evaluated, hits
