"""What a request may say to Amazon Personalize and not to Endcap, in operations that Endcap has."""

from __future__ import annotations

from shared.personalize import WireError, invalid_input

_NO_ACTIONS = "there are items and no actions; the dataset types are INTERACTIONS, ITEMS and USERS."

VIDEO_ON_DEMAND = "domain VIDEO_ON_DEMAND"
AUTO_ML = "performAutoML"
THEMES = "batchInferenceJobMode THEME_GENERATION"
ACTIONS = "datasetType ACTIONS"
ACTION_INTERACTIONS = "datasetType ACTION_INTERACTIONS"

INSTEAD = {
    VIDEO_ON_DEMAND: "ECOMMERCE is, and so is a dataset group without a domain.",
    AUTO_ML: "name a recipe in recipeArn.",
    THEMES: "the mode is BATCH_INFERENCE.",
    ACTIONS: _NO_ACTIONS,
    ACTION_INTERACTIONS: _NO_ACTIONS,
}
"""What is declined, and what there is instead."""


def refusal(what: str) -> WireError:
    """InvalidInputException with a sentence that says so."""
    return invalid_input(f"{what} is not supported by Endcap: {INSTEAD[what]}")
