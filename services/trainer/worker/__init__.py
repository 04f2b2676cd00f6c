"""Work of the trainer's worker: runs, step by step, and the deletion of old files."""

from services.trainer.worker.file_cleanup import FileCleanup
from services.trainer.worker.file_erasure import FileErasure
from services.trainer.worker.overlay_steps import OverlaySteps, by_kind
from services.trainer.worker.run_job import RunJob, StepContext
from services.trainer.worker.steps import Steps

__all__ = ["FileCleanup", "FileErasure", "OverlaySteps", "RunJob", "StepContext", "Steps", "by_kind"]
