"""Read the rows of a query; the rows of an order, which follow each other, are one order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import groupby
from typing import Any

from services.sync.domain.pulls.configs import Query
from services.sync.domain.pulls.rows import IDS, LINE_COLUMNS
from services.sync.store.pulls import Pulled
from services.sync.store.source_database import SourceDatabase
from services.sync.worker.pulls.page import Days, Page
from shared.errors import Permanent

Row = dict[str, Any]


class QueryRows:
    """The rows of a source's query. A run that continues reads them again, and stores only what is new."""

    def __init__(self, config: Query, database: SourceDatabase) -> None:
        self._config = config
        self._database = database

    async def pages(self, days: Days) -> AsyncIterator[Page]:
        """Yield the objects of the days. Raises Permanent and Transient as the database does."""
        name = IDS[self._config.records]
        ended, rest = set[Any](), list[Row]()
        async with aclosing(self._database.rows(days.first, days.last)) as pages:  # type: ignore[type-var]
            async for page in pages:
                rows = rest + page
                if name not in rows[0]:
                    raise Permanent(f"The query has no column {name}.")
                last = rows[-1][name]
                rest = [row for row in rows if row[name] == last]
                yield Page(self._config.records, self._objects(rows[: -len(rest)], ended))
        yield Page(self._config.records, self._objects(rest, ended))

    def _objects(self, rows: list[Row], ended: set[Any]) -> list[Pulled]:
        """Return the objects of rows. Raises Permanent if an order's rows do not follow each other."""
        if self._config.records != "orders":
            name = IDS[self._config.records]
            return [Pulled(str(row[name])[:256], {"object": row}) for row in rows]
        objects = []
        for order_id, lines in groupby(rows, lambda row: row["order_id"]):
            if order_id in ended:
                raise Permanent(
                    f"The rows of order {order_id} do not follow each other; add ORDER BY order_id."
                )
            ended.add(order_id)
            objects.append(Pulled(str(order_id)[:256], {"object": _order(list(lines))}))
        return objects


def _order(lines: list[Row]) -> Row:
    """Return the order of some lines: the first value of each column of the order."""
    order: Row = {}
    for line in lines:
        order |= {name: line[name] for name in line if name not in LINE_COLUMNS and order.get(name) is None}
    columns = [{name: line[name] for name in LINE_COLUMNS if name in line} for line in lines]
    return order | {"lines": columns}
