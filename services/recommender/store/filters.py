"""Filters, parsed as they are announced."""

from __future__ import annotations

import structlog

from shared.events import FilterChanged
from shared.filters import Filter, FilterError

log = structlog.get_logger()


class Filters:
    """Every filter by tenant and name."""

    def __init__(self) -> None:
        """None is known yet."""
        self._of: dict[tuple[str, str], Filter] = {}

    def changed(self, key: str, announced: FilterChanged | None) -> None:
        """Take an event of filters-v1."""
        tenant, _, name = key.partition(":")
        self._of.pop((tenant, name), None)
        if announced is None:
            return
        try:
            self._of[tenant, name] = Filter.parse(announced.expression)
        except FilterError as error:
            log.warning("filters.not_read", filter=announced.arn, error=str(error))

    def find(self, tenant: str, name: str) -> Filter | None:
        """The filter of that name."""
        return self._of.get((tenant, name))
