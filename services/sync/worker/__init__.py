"""What sync does in the background: imports, and the sweep for uploads whose notice was lost."""

from services.sync.worker.importer import Importer
from services.sync.worker.sweep import Sweep, add_upload

__all__ = ["Importer", "Sweep", "add_upload"]
