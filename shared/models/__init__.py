"""Trained models: folders of plain arrays that load in milliseconds and score live.

The engine fits and saves them, and answers batch jobs; the recommender copies a folder, maps it into
memory and scores live. Nothing here needs more than numpy.

    model = load(folder)
    model.recommend(user_id="7", history=[("socks", "view", 1700000000)], exclude={"hat"}, limit=10)
    for user, items, scores in model.recommend_many(["7", "8"], limit=25): ...

See docs/decisions/0024-models.
"""

from shared.models.attributes import Attributes
from shared.models.components import ScoringComponent, Table
from shared.models.context import Context
from shared.models.folder import fingerprint, load, save
from shared.models.graph_filters import LatentFactors, TwoStepWalk
from shared.models.histories import Histories, LaterEvents, SeenItems
from shared.models.ids import Ids
from shared.models.interaction_index import InteractionIndex
from shared.models.model import Model
from shared.models.nearest_profiles import NearestProfiles
from shared.models.neighbours import Neighbours
from shared.models.scoring import Scoring

__all__ = [
    "Attributes",
    "Context",
    "Histories",
    "Ids",
    "InteractionIndex",
    "LatentFactors",
    "LaterEvents",
    "Model",
    "NearestProfiles",
    "Neighbours",
    "Scoring",
    "ScoringComponent",
    "SeenItems",
    "Table",
    "TwoStepWalk",
    "fingerprint",
    "load",
    "save",
]
