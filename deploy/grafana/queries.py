"""PromQL expressions and the panels that show them."""

from __future__ import annotations

from deploy.grafana.panels import Panel, Query, Unit

ANSWERS = "endcap_http_answer_seconds"
FAILED = '{status="5xx"}'
POPULAR = '{source="popular"}'
INTERVAL = "$__rate_interval"
"""Grafana's range for rates: four scrapes, or the step of the chart if that is longer."""


def rate(metric: str, by: str = "", where: str = "", window: str = INTERVAL) -> str:
    """Return the sum of a counter's rates per second, by labels."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{where}[{window}]))"


def quantile(share: float, histogram: str, by: str = "", where: str = "", window: str = INTERVAL) -> str:
    """Return a quantile of a histogram, by labels."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', labels, where, window)})"


def chart(
    title: str, *queries: tuple[str, str], unit: Unit = "short", about: str = "", columns: int = 12
) -> Panel:
    """Return a chart of (expression, legend)."""
    return Panel(title, tuple(Query(*each) for each in queries), unit, columns=columns, about=about)


def stat(
    title: str,
    expression: str,
    unit: Unit = "short",
    warning: float | None = None,
    *,
    is_low_bad: bool = False,
) -> Panel:
    """Return a value of a quarter of the width."""
    return Panel(title, (Query(expression),), unit, "stat", 6, warning=warning, is_low_bad=is_low_bad)
