"""sync's background work: imports, the sweep for uploads whose notice was lost, and retention."""

from services.sync.worker.importer import Importer
from services.sync.worker.retention import Retention
from services.sync.worker.sweep import Sweep, add_upload

__all__ = ["Importer", "Retention", "Sweep", "add_upload"]
