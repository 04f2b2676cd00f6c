"""TIFU-kNN: the next basket from the decayed item frequencies of the customer and of similar customers.

Haoji Hu and others, "Modeling Personalized Item Frequency Information for Next-basket Recommendation", 2020.
"""

from __future__ import annotations

import numpy as np
import scipy

from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.event_weights import TypeWeights
from services.engine.training.dataset.events import weighted_events
from services.engine.training.methods.profiles import nearest_profiles
from shared.models import NearestProfiles
from shared.models.neighbours import Unit

_NEAREST_CUSTOMERS = 100


def tifu_knn(dataset: Dataset, weights: TypeWeights, *, decay: float, unit: Unit) -> NearestProfiles:
    """Return each user's profile: the decayed shares of the user's items, which sum to 1."""
    events = weighted_events(dataset, weights)
    count = len(dataset.item_ids)
    users, rows = np.unique(events.users, return_inverse=True)
    frequencies = scipy.sparse.coo_array(
        (events.shares(decay, unit), (rows.reshape(-1), events.items)), shape=(len(users), count)
    ).tocsr()
    lengths = np.sqrt(np.asarray(frequencies.multiply(frequencies).sum(axis=1)).ravel())
    return nearest_profiles(
        np.repeat(np.arange(len(users)), np.diff(frequencies.indptr)),
        frequencies.indices,
        matches=frequencies.data,
        weights=frequencies.data,
        scale=1 / np.maximum(lengths, 1e-12),
        item_count=count,
        nearest=_NEAREST_CUSTOMERS,
        reach=0.0,
    )
