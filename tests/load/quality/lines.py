"""The printed table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """The minimum of a figure, its goal, and published values."""

    minimum: float | None = None
    goal: float | None = None
    published: str = ""


@dataclass(frozen=True)
class Line:
    """One figure; `deviation` is its standard deviation over random splits."""

    task: str
    metric: str
    value: float
    popular: float | None
    thresholds: Thresholds
    deviation: float | None = None

    def cells(self) -> list[str]:
        """Return the cells as text; the last is SHORT if the value is below its minimum or popularity's."""
        minimum = self.thresholds.minimum
        lowest = [value for value in (minimum, self.popular) if value is not None]
        short = minimum is not None and self.value < max(lowest)
        value = f"{self.value:.4f}" + (f" ± {self.deviation:.4f}" if self.deviation is not None else "")
        references = [_text(number) for number in (self.popular, minimum, self.thresholds.goal)]
        return [
            self.task,
            self.metric,
            value,
            *references,
            self.thresholds.published,
            "SHORT" if short else "",
        ]


def table(lines: Sequence[Line]) -> str:
    """Return the lines as a Markdown table."""
    head = ["task", "metric", "measured", "popularity", "must", "goal", "published", ""]
    rows = [head, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:.4f}"
