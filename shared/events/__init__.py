"""The events that cross Kafka, one module per aggregate, and the registry of topics.

On the wire an event is a CloudEvents 1.0 message in binary mode: its JSON is the value; `ce_id`, `ce_type`,
`ce_source`, `ce_time` and `ce_tenantid` are headers.
"""

from shared.events.batches import BatchCompleted, BatchFailed, TrainingRequested
from shared.events.caches import CacheRefreshed
from shared.events.campaigns import CampaignChanged, FilterChanged, RecipeTraits, TrackerChanged
from shared.events.envelope import Event, derived_id
from shared.events.erasures import UserErased, UserErasureRequested
from shared.events.experiments import ExperimentChanged, LayerState, VariantExposed, VariantState
from shared.events.interactions import Claim, InteractionRecorded, canonical_type
from shared.events.items import ItemChanged, ItemPut
from shared.events.orders import OrderCancelled, OrderLine, OrderPlaced, OrderRefunded, line_id
from shared.events.placements import PlacementChanged
from shared.events.uploads import ObjectCreated, ObjectNotice
from shared.events.users import UserChanged, UserPut

__all__ = [
    "BatchCompleted",
    "BatchFailed",
    "CacheRefreshed",
    "CampaignChanged",
    "Claim",
    "Event",
    "ExperimentChanged",
    "FilterChanged",
    "InteractionRecorded",
    "ItemChanged",
    "ItemPut",
    "LayerState",
    "ObjectCreated",
    "ObjectNotice",
    "OrderCancelled",
    "OrderLine",
    "OrderPlaced",
    "OrderRefunded",
    "PlacementChanged",
    "RecipeTraits",
    "TrackerChanged",
    "TrainingRequested",
    "UserChanged",
    "UserErased",
    "UserErasureRequested",
    "UserPut",
    "VariantExposed",
    "VariantState",
    "canonical_type",
    "derived_id",
    "line_id",
]
