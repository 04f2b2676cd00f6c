"""Customers who bought the same products.

The similarity of two customers is the cosine of their sets of products. Only active customers are compared,
since comparing all grows with the square of their number.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import sparse

from services.analytics.domain.order_lines import OrderLines
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
    ids = np.array([lines.directory.customers.texts[code] for code in customers], object)
    rows: list[Row] = []
    for place in sorted(
        range(len(customers)), key=lambda place: (-int(similar_counts[place]), -int(sizes[place]), ids[place])
    )[:MAX_ROWS]:
        cosines = shared[place] / np.sqrt(sizes[place] * sizes)
        cosines[~is_similar[place]] = 0
        similar = np.flatnonzero(is_similar[place])
        nearest = similar[np.lexsort((ids[similar].astype(str), -cosines[similar]))][:NEIGHBOURS]
        user_id, customer = lines.directory.customer(int(customers[place]))
        rows.append(
            {
                "customer_id": user_id,
                "customer_name": customer.name or user_id,
                "similar_customers_count": int(similar_counts[place]),
                "avg_similarity_score": share(float(cosines[nearest].sum()), len(nearest)),
                "actual_recommendations": _candidates(bought, place, nearest),
                "top_shared_products": _top_shared(lines, products, bought, place, similar),
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


def _candidates(bought: sparse.csr_array, place: int, nearest: Integers) -> int:
    """Return how many products neighbours bought that the customer did not."""
    buyers = np.asarray(bought[nearest].sum(axis=0)).ravel()
    buyers[_items_of(bought, place)] = 0
    return int((buyers >= MIN_BUYERS).sum())


def _top_shared(
    lines: OrderLines, products: Integers, bought: sparse.csr_array, place: int, similar: Integers
) -> list[Row]:
    """Return the customer's products that most similar customers bought, too."""
    mine = _items_of(bought, place)
    buyers = np.asarray(bought[similar].sum(axis=0)).ravel()[mine] if len(similar) else np.zeros(len(mine))
    ids = [lines.directory.items.texts[products[item]] for item in mine]
    ranked = sorted(range(len(mine)), key=lambda number: (-int(buyers[number]), ids[number]))
    rows = []
    for number in ranked[:_TOP_SHARED]:
        if buyers[number]:
            item_id, item = lines.directory.item(int(products[mine[number]]))
            rows.append({"product_name": item.name or item_id, "shared_count": int(buyers[number])})
    return rows


def _items_of(bought: sparse.csr_array, place: int) -> Integers:
    return bought.indices[bought.indptr[place] : bought.indptr[place + 1]].astype(np.int64)
