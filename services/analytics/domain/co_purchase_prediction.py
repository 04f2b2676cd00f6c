"""Measure how well co-purchases predict what customers buy next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from services.analytics.domain.co_purchases import CoPurchases, binary_matrix, co_purchases
from services.analytics.domain.order_lines import OrderLines
from services.analytics.domain.report_rows import Integers, Row, share

HIT_LENGTH: Final = 10
EVALUATED_CUSTOMERS: Final = 1_000
"""Customers whose last order is predicted: those whose last order is newest. A sample bounds the time."""

_CHUNK: Final = 250


def prediction_summary(lines: OrderLines) -> Row:
    """Return the share of customers whose last order is predicted, and how many were evaluated."""
    evaluated, hits = hit_rate(lines)
    return {"algorithm_accuracy": share(hits, evaluated), "evaluated_customers": evaluated}


def hit_rate(lines: OrderLines) -> tuple[int, int]:
    """Return how many customers' last orders were predicted, and for how many a new product was among ten.

    The last order of each customer with two orders or more is held out. Products are ranked by the sum of
    their similarities to what the customer bought before, by the other orders of the shop; those that the
    customer has are left out. Customers whose last order has no new product can't be predicted, and are left
    out.
    """
    held_out = _last_orders(lines)
    known = lines.only(~np.isin(lines.orders, held_out))
    together = co_purchases(known)
    scores = _similarity_matrix(together)
    hits = evaluated = 0
    for histories, relevant in _tests(lines, known, held_out, together.items):
        ranked = (histories @ scores).toarray()
        ranked[histories.toarray() > 0] = 0
        best = np.argsort(-ranked, axis=1, kind="stable")[:, :HIT_LENGTH]
        is_hit = np.take_along_axis(relevant, best, 1) & (np.take_along_axis(ranked, best, 1) > 0)
        hits += int(is_hit.any(axis=1).sum())
        evaluated += len(relevant)
    return evaluated, hits


def _last_orders(lines: OrderLines) -> Integers:
    """Return the codes of the last orders of customers with several, the newest first."""
    orders, first = np.unique(lines.orders, return_index=True)
    customers, times = lines.customers[first], lines.times[first]
    order = np.lexsort((orders, times, customers))
    orders, customers, times = orders[order], customers[order], times[order]
    is_last = np.append(customers[1:] != customers[:-1], True)
    has_earlier = np.append(False, customers[1:] == customers[:-1])
    last = is_last & has_earlier & (customers >= 0)
    newest = np.lexsort((orders[last], -times[last]))
    ordered: Integers = orders[last][newest].astype(np.int64)
    return ordered


def _tests(
    lines: OrderLines, known: OrderLines, held_out: Integers, items: Integers
) -> Iterator[tuple[sparse.csr_array, npt.NDArray[np.bool_]]]:
    """Yield products that customers had, CSR[C, I], and new ones of their last orders, bool[C, I]."""
    owners: dict[int, int] = {}
    relevant_items: dict[int, set[int]] = {}
    chosen = lines.only(np.isin(lines.orders, held_out))
    for order, customer, item in zip(
        chosen.orders.tolist(), chosen.customers.tolist(), chosen.items.tolist(), strict=True
    ):
        owners[order] = customer
        relevant_items.setdefault(order, set()).add(item)
    bought: dict[int, set[int]] = {customer: set() for customer in owners.values()}
    mine = known.only(np.isin(known.customers, list(bought)))
    for customer, item in zip(mine.customers.tolist(), mine.items.tolist(), strict=True):
        bought[customer].add(item)
    cases = []
    for order in held_out.tolist():
        had = bought[owners[order]]
        if had and (new := relevant_items[order] - had):
            cases.append((had, new))
        if len(cases) == EVALUATED_CUSTOMERS:
            break
    for begin in range(0, len(cases), _CHUNK):
        chunk = cases[begin : begin + _CHUNK]
        histories = _rows([had for had, _ in chunk], items)
        yield histories, _rows([new for _, new in chunk], items).toarray() > 0


def _rows(sets: list[set[int]], items: Integers) -> sparse.csr_array:
    """Return sets of products as a binary matrix, CSR[S, I]; those that are not in `items` are left out."""
    rows = np.repeat(np.arange(len(sets)), [len(each) for each in sets])
    codes = np.array([code for each in sets for code in sorted(each)], np.int64)
    places = np.searchsorted(items, codes)
    is_known = np.append(items, -1)[places] == codes
    return binary_matrix(rows[is_known], places[is_known], (len(sets), len(items)))


def _similarity_matrix(together: CoPurchases) -> sparse.csr_array:
    size = len(together.items)
    upper = sparse.coo_array(
        (together.similarities, (together.left, together.right)), shape=(size, size)
    ).tocsr()
    return (upper + upper.T).tocsr()
