"""The table that is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bars:
    """What a figure must reach, what it should, and what others have published."""

    must: float | None = None
    goal: float | None = None
    published: str = ""


@dataclass(frozen=True)
class Line:
    """One figure; `spread` is its standard deviation over random splits."""

    task: str
    metric: str
    value: float
    popular: float | None
    bars: Bars
    spread: float | None = None

    def cells(self) -> list[str]:
        """As text; a value that must be reached, and is below it or popularity, says so."""
        must = self.bars.must
        bars = [bar for bar in (must, self.popular) if bar is not None]
        short = must is not None and self.value < max(bars)
        value = f"{self.value:.4f}" + (f" ± {self.spread:.4f}" if self.spread is not None else "")
        others = [_text(number) for number in (self.popular, must, self.bars.goal)]
        return [self.task, self.metric, value, *others, self.bars.published, "SHORT" if short else ""]


def table(lines: Sequence[Line]) -> str:
    """The lines as a table in Markdown."""
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
