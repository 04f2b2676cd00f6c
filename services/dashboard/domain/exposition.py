"""Metrics of a process in Prometheus's text format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric."""

    name: str
    labels: Mapping[str, str]
    value: float


class Samples:
    """The samples of a process, by the name of their metric."""

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._by_name: dict[str, list[Sample]] = {}
        for sample in samples:
            self._by_name.setdefault(sample.name, []).append(sample)

    def of(self, name: str) -> list[Sample]:
        """Return all samples of a metric."""
        return self._by_name.get(name, [])

    def total(self, name: str, **labels: str) -> float | None:
        """Return the sum over the samples that have these labels; None without any."""
        values = [sample.value for sample in self.of(name) if labels.items() <= dict(sample.labels).items()]
        return sum(values) if values else None


def parse(text: str) -> Iterator[Sample]:
    """Yield the samples of a text; lines that are not samples are left out.

    Format: https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            continue
        name, labels, value = match.groups()
        try:
            yield Sample(name, MappingProxyType(_labels(labels or "")), float(value))
        except ValueError:
            continue


def _labels(text: str) -> dict[str, str]:
    return {name: re.sub(r"\\.", _unescaped, value) for name, value in _LABEL.findall(text)}


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], match[0])
