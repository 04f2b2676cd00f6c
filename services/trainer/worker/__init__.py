"""The work behind the requests: runs step by step, the schedule's net, and old files."""

from services.trainer.worker.cleaning import Cleaning
from services.trainer.worker.erasing import Erasing
from services.trainer.worker.running import Running, Work
from services.trainer.worker.steps import Steps

__all__ = ["Cleaning", "Erasing", "Running", "Steps", "Work"]
