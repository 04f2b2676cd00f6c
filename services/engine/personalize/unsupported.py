"""What a request may say to Amazon Personalize, and what is declined or changes nothing here."""

from __future__ import annotations

from shared.aws import WireError, invalid_input

_NO_ACTIONS = "there are items and no actions; the dataset types are INTERACTIONS, ITEMS and USERS."

VIDEO_ON_DEMAND = "domain VIDEO_ON_DEMAND"
AUTO_ML = "performAutoML"
THEMES = "batchInferenceJobMode THEME_GENERATION"
ACTIONS = "datasetType ACTIONS"
ACTION_INTERACTIONS = "datasetType ACTION_INTERACTIONS"

ALTERNATIVES = {
    VIDEO_ON_DEMAND: "ECOMMERCE is, and so is a dataset group without a domain.",
    AUTO_ML: "name a recipe in recipeArn.",
    THEMES: "the mode is BATCH_INFERENCE.",
    ACTIONS: _NO_ACTIONS,
    ACTION_INTERACTIONS: _NO_ACTIONS,
}
"""What is declined, and what there is instead."""

IGNORED_MEMBERS = {
    "roleArn": "any role will do: `buckets allow` of the engine says which places a dataset group may use, "
    "and `buckets keys` with which key pair.",
    "kmsKeyArn": "what is at rest is encrypted by the disks and the object store, if at all.",
    "performHPO, hpoConfig": "each training chooses its settings on a part of its data anyway.",
    "minProvisionedTPS, minRecommendationRequestsPerSecond": "a campaign that is idle costs nothing.",
}
"""What is taken and shown again but changes nothing, and why."""


def error(what: str) -> WireError:
    """InvalidInputException with a sentence that says so."""
    return invalid_input(f"{what} is not supported by Endcap: {ALTERNATIVES[what]}")
