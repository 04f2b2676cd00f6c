"""Members of requests that Endcap does not support, or that have no effect."""

from __future__ import annotations

from shared.aws import WireError, invalid_input

_NO_ACTIONS = "there are no actions; the dataset types are INTERACTIONS, ITEMS and USERS."

VIDEO_ON_DEMAND = "domain VIDEO_ON_DEMAND"
AUTO_ML = "performAutoML"
THEMES = "batchInferenceJobMode THEME_GENERATION"
ACTIONS = "datasetType ACTIONS"
ACTION_INTERACTIONS = "datasetType ACTION_INTERACTIONS"

ALTERNATIVES = {
    VIDEO_ON_DEMAND: "use ECOMMERCE, or a dataset group without a domain.",
    AUTO_ML: "name a recipe in recipeArn.",
    THEMES: "use the mode BATCH_INFERENCE.",
    ACTIONS: _NO_ACTIONS,
    ACTION_INTERACTIONS: _NO_ACTIONS,
}
"""The unsupported members with their values, and the alternatives."""

IGNORED_MEMBERS = {
    "roleArn": "any role is accepted: `buckets allow` of the engine sets the locations that a dataset group "
    "may use, and `buckets keys` the key pair.",
    "kmsKeyArn": "data at rest is encrypted only if the disks or the object store do so.",
    "performHPO, hpoConfig": "each training selects its settings on a validation split in any case.",
    "minProvisionedTPS, minRecommendationRequestsPerSecond": "an idle campaign costs nothing.",
}
"""The members that are stored and described but have no effect, and the reasons."""


def error(feature: str) -> WireError:
    """Return the InvalidInputException for an unsupported feature, with its alternative."""
    return invalid_input(f"{feature} is not supported by Endcap: {ALTERNATIVES[feature]}")
