"""Access of the trainer to Postgres, the object store and the Personalize API."""

from services.trainer.store.erasures import Erasures
from services.trainer.store.executions import Executions
from services.trainer.store.files import Files, Upload
from services.trainer.store.log_events import LogEvents
from services.trainer.store.personalize import Personalize
from services.trainer.store.runs import RequestedRun, Runs, StepState
from services.trainer.store.schedules import Schedules
from services.trainer.store.shop_imports import ImportState, ShopImports
from services.trainer.store.snapshots import OverlayScope, Snapshots

__all__ = [
    "Erasures",
    "Executions",
    "Files",
    "ImportState",
    "LogEvents",
    "OverlayScope",
    "Personalize",
    "RequestedRun",
    "Runs",
    "Schedules",
    "ShopImports",
    "Snapshots",
    "StepState",
    "Upload",
]
