"""What sync does in the background: imports, the sweep for uploads whose notice was lost, and cleaning."""

from services.sync.worker.cleaning import Cleaning
from services.sync.worker.importer import Importer
from services.sync.worker.sweep import Sweep, add_upload

__all__ = ["Cleaning", "Importer", "Sweep", "add_upload"]
