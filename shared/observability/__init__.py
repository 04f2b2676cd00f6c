"""Logs, metrics and traces. A process calls `configure` once, before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.observability import logging, tracing
from shared.observability.logging import bound
from shared.observability.metrics import counter, gauge, histogram, loop_histogram, name_process

if TYPE_CHECKING:
    from shared.settings import ObservabilitySettings

__all__ = ["bound", "configure", "counter", "gauge", "histogram", "loop_histogram", "tracing"]


def configure(service: str, settings: ObservabilitySettings) -> None:
    """Set up the process `service` (such as `tracker-worker`): its logs, its name, its traces."""
    logging.configure(service, settings.log_level)
    name_process(service)
    tracing.configure(service, settings.otel_exporter_otlp_endpoint)
