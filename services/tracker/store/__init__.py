"""What the tracker keeps in Postgres, and what it looks up there."""

from services.tracker.store.datasets import Datasets
from services.tracker.store.erasures import Erasures
from services.tracker.store.interactions import Kept, Store
from services.tracker.store.rooms import Rooms
from services.tracker.store.tenants import Tenants

__all__ = ["Datasets", "Erasures", "Kept", "Rooms", "Store", "Tenants"]
