"""Postgres, the object store and the Personalize API, as the trainer uses them."""

from services.trainer.store.erasures import Erasures
from services.trainer.store.files import Files, Upload
from services.trainer.store.personalize import Personalize
from services.trainer.store.runs import Asked, Runs, StepState
from services.trainer.store.schedules import Schedules
from services.trainer.store.snapshots import Snapshots

__all__ = [
    "Asked",
    "Erasures",
    "Files",
    "Personalize",
    "Runs",
    "Schedules",
    "Snapshots",
    "StepState",
    "Upload",
]
