"""sync's background work: imports, the inbox, the sweep for uploads whose notice was lost, and retention."""

from services.sync.worker.importer import Importer
from services.sync.worker.inbox_reader import InboxReader
from services.sync.worker.pulls import FileRuns, Puller
from services.sync.worker.record_merge import RecordMerge
from services.sync.worker.retention import Retention
from services.sync.worker.sweep import Sweep, add_upload

__all__ = ["FileRuns", "Importer", "InboxReader", "Puller", "RecordMerge", "Retention", "Sweep", "add_upload"]
