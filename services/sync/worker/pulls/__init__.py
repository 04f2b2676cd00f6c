"""Ask sources for their orders, items and users, and store the changes in the inbox."""

from services.sync.worker.pulls.file_runs import FileRuns
from services.sync.worker.pulls.puller import Puller

__all__ = ["FileRuns", "Puller"]
