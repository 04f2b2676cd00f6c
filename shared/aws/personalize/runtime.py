"""The requests and responses of GetRecommendations and GetPersonalizedRanking.

https://docs.aws.amazon.com/personalize/latest/dg/API_Operations_Amazon_Personalize_Runtime.html
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from shared.aws.members import ArnText, Name, ResourceName, Text, WireModel

MAX_RESULTS = 500
MAX_RESULTS_WITH_METADATA = 50
DEFAULT_RESULTS = 25

UserId = Annotated[Text, StringConstraints(max_length=256)]
_Value = Annotated[Text, StringConstraints(max_length=1000)]
_ContextKey = Annotated[str, StringConstraints(max_length=150, pattern=r"^[A-Za-z\d_]+$")]
_FilterKey = Annotated[str, StringConstraints(max_length=50, pattern=r"^[A-Za-z0-9_]+$")]

Context = Annotated[dict[_ContextKey, _Value], Field(max_length=150)]
FilterValues = Annotated[dict[_FilterKey, _Value], Field(max_length=25)]


def _known_dataset(columns: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    if set(columns) - {"ITEMS"}:
        message = "only the dataset type ITEMS has metadata columns"
        raise ValueError(message)
    return columns


MetadataColumns = Annotated[
    dict[str, Annotated[tuple[Name, ...], Field(max_length=99)]],
    Field(max_length=1),
    AfterValidator(_known_dataset),
]


class Promotion(WireModel):
    """A share of the list that only items of a filter may take."""

    name: ResourceName | None = None
    percent_promoted_items: Annotated[int, Field(ge=1, le=100)] | None = None
    filter_arn: ArnText | None = None
    filter_values: FilterValues | None = None


class _RuntimeRequest(WireModel):
    context: Context | None = None
    filter_arn: ArnText | None = None
    filter_values: FilterValues | None = None
    metadata_columns: MetadataColumns | None = None

    def _check_size(self, size: int, member: str) -> None:
        most = MAX_RESULTS_WITH_METADATA if self.metadata_columns else MAX_RESULTS
        if size > most:
            message = f"{member} may be at most {most}, not {size}"
            raise ValueError(message)


class GetRecommendationsRequest(_RuntimeRequest):
    """GetRecommendations: items for a user, similar to an item, or popular ones, depending on the recipe."""

    campaign_arn: ArnText | None = None
    recommender_arn: ArnText | None = None
    user_id: UserId | None = None
    item_id: UserId | None = None
    num_results: Annotated[int, Field(ge=0)] | None = None
    promotions: Annotated[tuple[Promotion, ...], Field(max_length=1)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.campaign_arn is None) == (self.recommender_arn is None):
            message = "give either campaignArn or recommenderArn"
            raise ValueError(message)
        self._check_size(self.num_results or 0, "numResults")
        return self

    @property
    def limit(self) -> int:
        """Return how many items to return, by default 25."""
        if self.num_results is None:
            return DEFAULT_RESULTS
        return self.num_results


class GetPersonalizedRankingRequest(_RuntimeRequest):
    """GetPersonalizedRanking: items to rank for a user."""

    campaign_arn: ArnText
    user_id: UserId
    input_list: tuple[Name, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_size(len(self.input_list), "inputList")
        return self


class PredictedItem(WireModel):
    """One item of a response; members that are None are left out."""

    item_id: str
    score: float | None = None
    promotion_name: str | None = None
    metadata: dict[str, str] | None = None
    reason: tuple[str, ...] | None = None


class GetRecommendationsResponse(WireModel):
    """The response of GetRecommendations."""

    item_list: tuple[PredictedItem, ...]
    recommendation_id: str


class GetPersonalizedRankingResponse(WireModel):
    """The response of GetPersonalizedRanking."""

    personalized_ranking: tuple[PredictedItem, ...]
    recommendation_id: str
