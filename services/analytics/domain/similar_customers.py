"""Customers who bought the same products.

The similarity of two customers is the cosine of their sets of products. Only active customers are compared,
since comparing all grows with the square of their number.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import sparse

from services.analytics.domain.order_lines import Numbers, OrderLines
from services.analytics.domain.report_rows import MAX_ROWS, Integers, Report, Row, share

ACTIVE_CUSTOMERS: Final = 2_000
"""Customers who are compared: those who bought the most different products. Bounds memory to 32 MB."""

MIN_SHARED: Final = 2
"""Products that two customers share before they are similar: one popular product is no likeness."""

NEIGHBOURS: Final = 50
"""Most similar customers whose products are candidates, as in nearest-neighbour recommenders. Arbitrary."""

MIN_BUYERS: Final = 2
"""Neighbours that must have bought a candidate."""

_TOP_SHARED: Final = 3


def similarity_report(lines: OrderLines) -> Report:
    """Return active customers, those with the most similar customers first.

    `summary.active_customer_pairs` is the number of pairs of active customers that are similar.
    """
    customers, products, bought = _purchases(lines)
    shared = (bought @ bought.T).toarray()
    sizes = np.diag(shared).copy()
    np.fill_diagonal(shared, 0)
    is_similar = shared >= MIN_SHARED
    similar_counts = is_similar.sum(axis=1)
    ids = np.array([lines.directory.customers.texts[code] for code in customers], str)
    by_id = np.argsort(np.argsort(ids))
    first = np.lexsort((by_id, -sizes, -similar_counts))[:MAX_ROWS]
    cosines = np.where(is_similar[first], shared[first] / np.sqrt(np.outer(sizes[first], sizes)), 0)
    nearest = [_nearest(row, by_id) for row in cosines]
    # Buyers of each product among the nearest, and among all similar customers: CSR[R, I].
    buyers_nearby = _selection(nearest, len(customers)) @ bought
    buyers_alike = sparse.csr_array(is_similar[first].astype(np.int32)) @ bought
    rows: list[Row] = []
    for number, place in enumerate(first):
        user_id, customer = lines.directory.customer(int(customers[place]))
        mine = _items_of(bought, place)
        rows.append(
            {
                "customer_id": user_id,
                "customer_name": customer.name or user_id,
                "similar_customers_count": int(similar_counts[place]),
                "avg_similarity_score": share(
                    float(cosines[number, nearest[number]].sum()), len(nearest[number])
                ),
                "actual_recommendations": _candidates(_dense_row(buyers_nearby, number), mine),
                "top_shared_products": _top_shared(
                    lines, products[mine], _dense_row(buyers_alike, number)[mine]
                ),
            }
        )
    for row in rows:
        row["recommendations_generated"] = row["actual_recommendations"]
    pairs = int(similar_counts.sum()) // 2
    summary = {"active_customer_pairs": pairs, "compared_customers": len(customers)}
    return Report(rows, len(customers), summary, "customer_id")


def _purchases(lines: OrderLines) -> tuple[Integers, Integers, sparse.csr_array]:
    """Return active customers, products, and who bought what: a binary CSR[C, I]."""
    known = lines.only(lines.customers >= 0)
    products, columns = np.unique(known.items, return_inverse=True)
    customers, rows = np.unique(known.customers, return_inverse=True)
    matrix = sparse.coo_array(
        (np.ones(len(rows), np.int32), (rows, columns)), shape=(len(customers), len(products))
    ).tocsr()
    matrix.data[:] = 1
    sizes = np.diff(matrix.indptr)
    ids = np.array([lines.directory.customers.texts[code] for code in customers], str)
    active = np.sort(np.lexsort((ids, -sizes))[:ACTIVE_CUSTOMERS])
    return customers[active].astype(np.int64), products.astype(np.int64), matrix[active]


def _nearest(cosines: Numbers, by_id: Integers) -> Integers:
    """Return the places of the most similar customers, the nearest first; ties by id."""
    similar = np.flatnonzero(cosines)
    return similar[np.lexsort((by_id[similar], -cosines[similar]))][:NEIGHBOURS].astype(np.int64)


def _selection(chosen: list[Integers], customers: int) -> sparse.csr_array:
    """Return a binary matrix whose rows choose customers: CSR[R, C]."""
    bounds = np.cumsum([0, *map(len, chosen)])
    columns = np.concatenate([*chosen, np.zeros(0, np.int64)])
    ones = np.ones(len(columns), np.int32)
    return sparse.csr_array((ones, columns, bounds), shape=(len(chosen), customers))


def _candidates(buyers: Integers, mine: Integers) -> int:
    """Return how many products neighbours bought that the customer, who has `mine`, did not."""
    buyers[mine] = 0
    return int((buyers >= MIN_BUYERS).sum())


def _top_shared(lines: OrderLines, mine: Integers, buyers: Integers) -> list[Row]:
    """Return the customer's products that most similar customers bought, too; `buyers` counts these."""
    ids = [lines.directory.items.texts[code] for code in mine]
    ranked = sorted(range(len(mine)), key=lambda number: (-int(buyers[number]), ids[number]))
    rows = []
    for number in ranked[:_TOP_SHARED]:
        if buyers[number]:
            item_id, item = lines.directory.item(int(mine[number]))
            rows.append({"product_name": item.name or item_id, "shared_count": int(buyers[number])})
    return rows


def _dense_row(matrix: sparse.csr_array, row: int) -> Integers:
    """Return a row of a matrix CSR[R, I]: int64[I]."""
    dense = np.zeros(matrix.shape[1], np.int64)
    entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
    dense[matrix.indices[entries]] = matrix.data[entries]
    return dense


def _items_of(bought: sparse.csr_array, place: int) -> Integers:
    return bought.indices[bought.indptr[place] : bought.indptr[place + 1]].astype(np.int64)
