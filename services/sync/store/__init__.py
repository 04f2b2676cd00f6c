"""sync's storage: Postgres for the state of the shop, the object store for files."""

from services.sync.store.catalogue import Catalogue
from services.sync.store.erasures import Erasures
from services.sync.store.file_places import FilePlaces
from services.sync.store.files import Files, StoreDenied
from services.sync.store.followed_orders import FollowedOrders
from services.sync.store.imports import Imports
from services.sync.store.inbox import Inbox
from services.sync.store.listings import Listings
from services.sync.store.orders import Orders
from services.sync.store.pulls import Pulls
from services.sync.store.sources import Sources
from services.sync.store.staging import Staging

__all__ = [
    "Catalogue",
    "Erasures",
    "FilePlaces",
    "Files",
    "FollowedOrders",
    "Imports",
    "Inbox",
    "Listings",
    "Orders",
    "Pulls",
    "Sources",
    "Staging",
    "StoreDenied",
]
