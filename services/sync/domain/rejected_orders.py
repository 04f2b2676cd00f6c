"""The orders that have a rejected row: such an order is rejected with all its lines."""

from __future__ import annotations

import csv

from services.sync.domain.mapping import Layout
from services.sync.domain.order_rows import NON_SALE_CODES
from services.sync.domain.table import Record


class RejectedOrders:
    """Collects (order id, line of the file) of the rejected rows of one file."""

    def __init__(self, layout: Layout, delimiter: str, previous_order_id: str = "") -> None:
        """Take ids from the columns of a file. `previous_order_id` is the order of the preceding row."""
        self.previous_order_id = previous_order_id
        self._order_id, self._product_id = layout["order_id"], layout["product_id"]
        self._delimiter = delimiter
        self._lines: dict[str, int] = {}

    def add(self, record: Record, code: str) -> None:
        """Add the order of a rejected row, unless the code says that the row is not an order line.

        A row with a product but without an order id is assigned to the order of the preceding row.
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
        """Return the orders collected since the last call, each with its first rejected line."""
        lines, self._lines = self._lines, {}
        return list(lines.items())

    def _cells(self, record: Record) -> list[str]:
        """Return the cells of a row, as far as it can be parsed."""
        if record.fields:
            return record.fields
        try:
            return next(csv.reader([record.raw], delimiter=self._delimiter), [])
        except csv.Error:
            return []
