"""Products that are bought in the same orders: pairs, companions and the graph.

Support, confidence and lift are those of association rules (Agrawal, Imielinski and Swami, 1993, and Brin et
al., 1997), with orders as transactions. The similarity of two products is the cosine of their order vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from services.analytics.domain.order_lines import Numbers, OrderLines
from services.analytics.domain.report_rows import MAX_ROWS, Integers, Report, Row, money, share

MIN_ORDERS: Final = 2
"""Orders that must have two products before they are a pair: one order is no pattern."""

GRAPH_EDGES: Final = 150
"""Edges of the stored graph: more can't be told apart in a drawing. Arbitrary."""


@dataclass(frozen=True, slots=True)
class CoPurchases:
    """Products that are bought together.

    `items` int64[I] are codes of products; `orders` int64[I] is in how many orders each is. `left`, `right`
    and `counts`, int64[P], are the pairs as positions in `items`, and their common orders, at least
    `MIN_ORDERS`. `baskets` is the binary matrix of orders and products, CSR[B, I].
    """

    items: Integers
    orders: Integers
    left: Integers
    right: Integers
    counts: Integers
    baskets: sparse.csr_array

    @property
    def similarities(self) -> Numbers:
        """Return the cosine similarity of each pair, float64[P]."""
        similarities: Numbers = self.counts / np.sqrt(self.orders[self.left] * self.orders[self.right])
        return similarities


def co_purchases(lines: OrderLines) -> CoPurchases:
    """Return the products of bought lines, and which are bought together."""
    items, columns = np.unique(lines.items, return_inverse=True)
    baskets, rows = np.unique(lines.orders, return_inverse=True)
    matrix = binary_matrix(rows, columns, (len(baskets), len(items)))
    common = sparse.triu((matrix.T @ matrix).tocsr(), k=1, format="coo")
    kept = common.data >= MIN_ORDERS
    left, right = common.coords
    return CoPurchases(
        items.astype(np.int64),
        np.asarray(matrix.sum(axis=0)).ravel().astype(np.int64),
        left[kept].astype(np.int64),
        right[kept].astype(np.int64),
        common.data[kept].astype(np.int64),
        matrix,
    )


def pairs_report(lines: OrderLines, together: CoPurchases) -> Report:
    """Return pairs of products, those with the most common orders first.

    Product a is the one in fewer orders, so `confidence`, the share of a's orders that have b, is the greater
    of the two directions.
    """
    ids = np.array([lines.directory.items.texts[code] for code in together.items], object)
    best = _first(together, ids)
    revenue = _revenue_by_order(lines, together)
    names = lines.directory
    rows: list[Row] = []
    for number in best:
        a, b = together.left[number], together.right[number]
        if (together.orders[b], ids[b]) < (together.orders[a], ids[a]):
            a, b = b, a
        count, of_a, of_b = (
            int(value) for value in (together.counts[number], together.orders[a], together.orders[b])
        )
        (a_id, a_item), (b_id, b_item) = (names.item(int(together.items[place])) for place in (a, b))
        confidence = share(count, of_a)
        rows.append(
            {
                "product_a_id": a_id,
                "product_a_name": a_item.name or a_id,
                "product_b_id": b_id,
                "product_b_name": b_item.name or b_id,
                "co_recommendation_count": count,
                "combined_revenue": money(_common_revenue(revenue, int(a), int(b))),
                "support": share(count, together.baskets.shape[0]),
                "confidence": confidence,
                "reverse_confidence": share(count, of_b),
                "lift": share(count * together.baskets.shape[0], of_a * of_b),
                "similarity_score": round(count / (of_a * of_b) ** 0.5, 6),
                "confidence_score": confidence,
            }
        )
    total = sum(row["combined_revenue"] for row in rows)
    summary = {
        "orders": int(together.baskets.shape[0]),
        "total_pairs": len(together.counts),
        "total_revenue": money(total),
        "avg_confidence": share(sum(row["confidence"] for row in rows), len(rows)),
        "avg_pair_value": money(total / len(rows)) if rows else 0.0,
    }
    return Report(rows, len(together.counts), summary)


def products_report(lines: OrderLines, together: CoPurchases) -> Report:
    """Return products, those with the most companions first, then by revenue.

    `recommendation_count` is the number of companions: products that share at least `MIN_ORDERS` orders.
    """
    size = len(together.items)
    companions, similarity = _companions(together)
    places = np.searchsorted(together.items, lines.items)
    revenue = np.bincount(places, lines.amounts, size)
    units = np.bincount(places, lines.units, size)
    order = np.lexsort((together.items, -revenue, -companions))
    rows: list[Row] = []
    for place in order[:MAX_ROWS]:
        item_id, item = lines.directory.item(int(together.items[place]))
        mean_price = revenue[place] / units[place] if units[place] else 0.0
        rows.append(
            {
                "product_id": item_id,
                "product_name": item.name or item_id,
                "category": item.category,
                "price": money(mean_price if item.price is None else item.price),
                "recommendation_count": int(companions[place]),
                "avg_similarity_score": share(similarity[place], companions[place]),
                "total_revenue": money(revenue[place]),
                "order_count": int(together.orders[place]),
            }
        )
    return Report(rows, size)


def graph_report(lines: OrderLines, together: CoPurchases) -> Report:
    """Return edges between products that are bought together more often than by chance: a lift above 1.

    Those with the most common orders come first; `summary.nodes` describes their products.
    """
    ids = np.array([lines.directory.items.texts[code] for code in together.items], object)
    baskets = together.baskets.shape[0]
    lifts = together.counts * baskets / (together.orders[together.left] * together.orders[together.right])
    number_of_edges = int((lifts > 1).sum())
    edges: list[Row] = []
    places: set[int] = set()
    for number in _first(together, ids, lifts > 1)[:GRAPH_EDGES]:
        a, b = int(together.left[number]), int(together.right[number])
        places |= {a, b}
        edges.append(
            {
                "source": str(ids[a]),
                "target": str(ids[b]),
                "weight": int(together.counts[number]),
                "lift": round(float(lifts[number]), 6),
            }
        )
    nodes: list[Row] = []
    for place in sorted(places, key=lambda place: (-together.orders[place], ids[place])):
        item_id, item = lines.directory.item(int(together.items[place]))
        order_count = int(together.orders[place])
        nodes.append(
            {
                "id": item_id,
                "name": item.name or item_id,
                "category": item.category,
                "order_count": order_count,
            }
        )
    return Report(edges, number_of_edges, {"nodes": nodes})


def metrics_summary(lines: OrderLines, together: CoPurchases) -> Row:
    """Return the figures of products that are bought together."""
    companions, _ = _companions(together)
    similarities = together.similarities
    return {
        "total_recommendations": int(companions.sum()),
        "avg_similarity_score": round(float(similarities.mean()), 6) if len(similarities) else 0.0,
        "total_users": len(np.unique(lines.customers[lines.customers >= 0])),
        "total_products": len(together.items),
        "coverage": share(int((companions > 0).sum()), len(together.items)),
    }


def binary_matrix(rows: Integers, columns: Integers, shape: tuple[int, int]) -> sparse.csr_array:
    """Return the matrix with 1 at these places, CSR int64[shape]; a place may be named again."""
    matrix = sparse.coo_array((np.ones(len(rows), np.int64), (rows, columns)), shape=shape).tocsr()
    matrix.data[:] = 1
    return matrix


def _companions(together: CoPurchases) -> tuple[Integers, Numbers]:
    """Return the number of companions of each product, and the sum of their similarities."""
    size = len(together.items)
    ends = np.concatenate([together.left, together.right])
    similarities = np.tile(together.similarities, 2)
    counts, sums = np.bincount(ends, minlength=size), np.bincount(ends, similarities, size)
    return counts.astype(np.int64), sums.astype(np.float64)


def _first(
    together: CoPurchases, ids: npt.NDArray[np.object_], mask: npt.NDArray[np.bool_] | None = None
) -> list[int]:
    """Return the numbers of pairs with the most common orders; ties by the ids of their products."""
    numbers = np.arange(len(together.counts)) if mask is None else np.flatnonzero(mask)
    if len(numbers) > MAX_ROWS:
        least = np.partition(together.counts[numbers], -MAX_ROWS)[-MAX_ROWS]
        numbers = numbers[together.counts[numbers] >= least]

    def rank(number: int) -> tuple[int, list[str]]:
        names = sorted((str(ids[together.left[number]]), str(ids[together.right[number]])))
        return -int(together.counts[number]), names

    return sorted(map(int, numbers), key=rank)[:MAX_ROWS]


def _revenue_by_order(lines: OrderLines, together: CoPurchases) -> sparse.csc_array:
    """Return the revenue of each product in each order, CSC[B, I]."""
    rows = np.unique(lines.orders, return_inverse=True)[1]
    columns = np.searchsorted(together.items, lines.items)
    return sparse.coo_array((lines.amounts, (rows, columns)), shape=together.baskets.shape).tocsc()


def _common_revenue(revenue: sparse.csc_array, a: int, b: int) -> float:
    """Return the revenue of two products in the orders that have both."""
    few, many = sorted(
        (slice(revenue.indptr[place], revenue.indptr[place + 1]) for place in (a, b)),
        key=lambda column: int(column.stop - column.start),
    )
    # The orders of a column are sorted, and each column has one at least.
    places = np.searchsorted(revenue.indices[many], revenue.indices[few])
    places[places == many.stop - many.start] = 0
    common = revenue.indices[many][places] == revenue.indices[few]
    return float(revenue.data[few][common].sum() + revenue.data[many][places[common]].sum())
