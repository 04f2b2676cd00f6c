"""The registry of topics: their events, keys, partitions, retention, producers and consumers.

`python -m shared.kafka topics` creates the topics; tests/contract/test_wiring.py compares the registry with
what every process publishes and subscribes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import BaseModel

from shared.events.batches import BatchCompleted, BatchFailed, TrainingRequested
from shared.events.caches import CacheRefreshed
from shared.events.campaigns import CampaignChanged, FilterChanged, TrackerChanged
from shared.events.erasures import UserErased, UserErasureRequested
from shared.events.experiments import ExperimentChanged, VariantExposed
from shared.events.interactions import InteractionRecorded
from shared.events.items import ItemChanged, ItemPut
from shared.events.orders import OrderCancelled, OrderPlaced, OrderRefunded
from shared.events.placements import PlacementChanged
from shared.events.servings import RecommendationServed
from shared.events.uploads import ObjectNotice
from shared.events.users import UserChanged, UserPut

FORTNIGHT = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `retention` None means compacted: Kafka keeps the newest state of every key.

    `consumers` read it in a group named `<service>` or `<service>-<purpose>`; `readers` read a compacted
    topic whole, in every process, without a group; `lookups` read single records by time, without a group.
    """

    name: str
    events: tuple[type[BaseModel], ...]
    key: str
    partitions: int
    producers: frozenset[str]
    consumers: frozenset[str] = field(default_factory=frozenset)
    readers: frozenset[str] = field(default_factory=frozenset)
    lookups: frozenset[str] = field(default_factory=frozenset)
    retention: timedelta | None = FORTNIGHT

    @property
    def compacted(self) -> bool:
        """True if the topic holds states (one per key) rather than facts."""
        return self.retention is None

    @property
    def description(self) -> str:
        """Key, partitions and retention, for the AsyncAPI documents."""
        kept = "compacted" if self.retention is None else f"kept {self.retention.days} days"
        return f"key: {self.key}; {self.partitions} partitions; {kept}"

    def dlq(self, consumer: str) -> str:
        """Return the name of the topic for the records that `consumer` can't handle."""
        return f"{self.name}-{consumer}-dlq"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


INTERACTIONS = Topic(
    "interactions-v1",
    (InteractionRecorded,),
    key="tenant:user (or session)",
    partitions=12,
    producers=_names("tracker sync"),
    consumers=_names("tracker recommender router analytics"),
)
ORDERS = Topic(
    "orders-v1",
    (OrderPlaced, OrderCancelled, OrderRefunded),
    key="tenant:user",
    partitions=6,
    producers=_names("sync"),
    consumers=_names("tracker analytics"),
)
ITEMS = Topic(
    "items-v1",
    (ItemChanged,),
    key="tenant:item",
    partitions=6,
    producers=_names("sync"),
    readers=_names("recommender"),
    retention=None,
)
USERS = Topic(
    "users-v1",
    (UserChanged,),
    key="tenant:user",
    partitions=6,
    producers=_names("sync"),
    consumers=_names("recommender"),
    retention=None,
)
PUTS = Topic(
    "puts-v1",
    (ItemPut, UserPut),
    key="tenant:id",
    partitions=6,
    producers=_names("tracker"),
    consumers=_names("sync"),
)
TRAINING_REQUESTS = Topic(
    "training-requests-v1",
    (TrainingRequested,),
    key="tenant",
    partitions=1,
    producers=_names("sync"),
    consumers=_names("trainer"),
    retention=timedelta(days=7),
)
BATCHES = Topic(
    "batches-v1",
    (BatchCompleted, BatchFailed),
    key="tenant",
    partitions=1,
    producers=_names("trainer"),
    consumers=_names("loader analytics"),
)
CACHES = Topic(
    "caches-v1",
    (CacheRefreshed,),
    key="tenant",
    partitions=1,
    producers=_names("loader"),
    readers=_names("recommender"),
    retention=None,
)
CAMPAIGNS = Topic(
    "campaigns-v1",
    (CampaignChanged,),
    key="tenant:name",
    partitions=1,
    producers=_names("engine"),
    readers=_names("recommender"),
    retention=None,
)
FILTERS = Topic(
    "filters-v1",
    (FilterChanged,),
    key="tenant:name",
    partitions=1,
    producers=_names("engine"),
    readers=_names("recommender"),
    retention=None,
)
TRACKERS = Topic(
    "trackers-v1",
    (TrackerChanged,),
    key="tenant:name",
    partitions=1,
    producers=_names("engine"),
    readers=_names("tracker"),
    retention=None,
)
PLACEMENTS = Topic(
    "placements-v1",
    (PlacementChanged,),
    key="tenant:name",
    partitions=1,
    producers=_names("engine"),
    readers=_names("recommender"),
    retention=None,
)
EXPERIMENTS = Topic(
    "experiments-v1",
    (ExperimentChanged,),
    key="tenant:name",
    partitions=1,
    producers=_names("router"),
    readers=_names("recommender"),
    retention=None,
)
EXPOSURES = Topic(
    "exposures-v1",
    (VariantExposed,),
    key="tenant:unit",
    partitions=6,
    producers=_names("recommender"),
    consumers=_names("router analytics"),
)
SERVINGS = Topic(
    "servings-v1",
    (RecommendationServed,),
    key="tenant:user (or session)",
    partitions=12,
    producers=_names("recommender"),
    consumers=_names("router analytics"),
    lookups=_names("recommender"),
)
ERASURES = Topic(
    "erasures-v1",
    (UserErasureRequested,),
    key="tenant:user",
    partitions=6,
    producers=_names("engine"),
    consumers=_names("tracker sync trainer loader recommender router analytics"),
    readers=_names("recommender"),
    retention=None,
)
ERASURE_RECEIPTS = Topic(
    "erasure-receipts-v1",
    (UserErased,),
    key="tenant:user",
    partitions=1,
    producers=_names("tracker sync trainer loader recommender router analytics"),
    consumers=_names("engine"),
)
UPLOADS = Topic(
    "uploads-v1",
    (ObjectNotice,),
    key="none: the object store's own records",
    partitions=1,
    producers=frozenset(),
    consumers=_names("sync"),
    retention=timedelta(days=7),
)

TOPICS = (
    INTERACTIONS,
    ORDERS,
    ITEMS,
    USERS,
    PUTS,
    TRAINING_REQUESTS,
    BATCHES,
    CACHES,
    CAMPAIGNS,
    FILTERS,
    TRACKERS,
    PLACEMENTS,
    EXPERIMENTS,
    EXPOSURES,
    SERVINGS,
    ERASURES,
    ERASURE_RECEIPTS,
    UPLOADS,
)
