"""The orders of refused rows, so that no order is taken without one of its lines."""

from __future__ import annotations

import csv

from services.sync.domain.mapping import Layout
from services.sync.domain.rows import NON_SALE_CODES
from services.sync.domain.table import Record


class RejectedOrders:
    """The orders of one file's refused rows: (order id, line of the file), until they are taken away."""

    def __init__(self, layout: Layout, delimiter: str, previous_order_id: str = "") -> None:
        """Read ids from the columns of a file; `previous` is the order of the row before the next one."""
        self.previous_order_id = previous_order_id
        self._order_id, self._product_id = layout["order_id"], layout["product_id"]
        self._delimiter = delimiter
        self._lines: dict[str, int] = {}

    def add(self, record: Record, code: str) -> None:
        """Remember a refused row's order, unless the row is none of an order's lines.

        A row that has a product and names no order is taken for one of the order before it.
        """
        cells = self._cells(record)
        if not 0 <= self._order_id < len(cells):
            return
        order_id = cells[self._order_id].strip()
        self.previous_order_id = order_id or self.previous_order_id
        has_product = 0 <= self._product_id < len(cells) and bool(cells[self._product_id].strip())
        if code not in NON_SALE_CODES and self.previous_order_id and (order_id or has_product):
            self._lines.setdefault(self.previous_order_id, record.line)

    def take(self) -> list[tuple[str, int]]:
        """Return what was noted, and begin anew."""
        lines, self._lines = self._lines, {}
        return list(lines.items())

    def _cells(self, record: Record) -> list[str]:
        """Return the cells of a row, so far as it can be read."""
        if record.fields:
            return record.fields
        try:
            return next(csv.reader([record.raw], delimiter=self._delimiter), [])
        except csv.Error:
            return []
