"""The table of the control-plane operations: the name of each with its exceptions and its handler.

https://docs.aws.amazon.com/personalize/latest/dg/API_Operations_Amazon_Personalize.html lists them.

See docs/decisions/0017-control-plane.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_type_hints

from services.engine.personalize import (
    algorithms,
    batch_inference_jobs,
    batch_segment_jobs,
    campaigns,
    data_deletion_jobs,
    dataset_export_jobs,
    dataset_groups,
    dataset_import_jobs,
    datasets,
    event_trackers,
    feature_transformations,
    filters,
    metric_attributions,
    recipes,
    recommenders,
    schemas,
    solution_updates,
    solution_versions,
    solutions,
    tags,
)
from shared.auth import Scope
from shared.aws import WireModel

ERRORS = {
    "II": "InvalidInputException",
    "NF": "ResourceNotFoundException",
    "IU": "ResourceInUseException",
    "AE": "ResourceAlreadyExistsException",
    "LE": "LimitExceededException",
    "NT": "InvalidNextTokenException",
    "TT": "TooManyTagsException",
    "TK": "TooManyTagKeysException",
}


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """The exceptions that Amazon Personalize declares for an operation, and the function that handles it.

    `errors` abbreviates the exceptions as in ERRORS. Every operation requires the scope `admin`, and also the
    scopes in `also_needs`. The annotations of the handler are the request and the answer of the operation.
    """

    errors: str
    handle: Callable[..., Awaitable[Any]]
    also_needs: tuple[Scope, ...] = ()

    @property
    def request(self) -> type[WireModel]:
        """Return the model of the request."""
        request: type[WireModel] = get_type_hints(self.handle)["request"]
        return request

    @property
    def answer(self) -> type[WireModel] | None:
        """Return the model of the answer, or None for an operation that answers with an empty body."""
        answer: Any = get_type_hints(self.handle)["return"]
        return None if answer is NoneType else answer

    @property
    def declared(self) -> frozenset[str]:
        """Return the full names of the declared exceptions."""
        return frozenset(ERRORS[abbreviation] for abbreviation in self.errors.split())


def is_change(operation: str) -> bool:
    """Return whether the operation changes state, so that a repeated call must not run it twice."""
    return not operation.startswith(("Describe", "List", "Get"))


TABLE: dict[str, OperationSpec] = {
    "CreateDatasetGroup": OperationSpec("II AE LE TT", dataset_groups.create),
    "DescribeDatasetGroup": OperationSpec("II NF", dataset_groups.describe),
    "ListDatasetGroups": OperationSpec("NT", dataset_groups.list_page),
    "DeleteDatasetGroup": OperationSpec("II NF IU", dataset_groups.delete),
    "CreateSchema": OperationSpec("II AE LE", schemas.create),
    "DescribeSchema": OperationSpec("II NF", schemas.describe),
    "ListSchemas": OperationSpec("NT", schemas.list_page),
    "DeleteSchema": OperationSpec("II NF IU", schemas.delete),
    "CreateDataset": OperationSpec("II NF AE LE IU TT", datasets.create),
    "DescribeDataset": OperationSpec("II NF", datasets.describe),
    "ListDatasets": OperationSpec("II NT", datasets.list_page),
    "UpdateDataset": OperationSpec("II NF IU", datasets.update),
    "DeleteDataset": OperationSpec("II NF IU", datasets.delete),
    "CreateDatasetImportJob": OperationSpec(
        "II NF AE LE IU TT", dataset_import_jobs.create, also_needs=("catalogue",)
    ),
    "DescribeDatasetImportJob": OperationSpec("II NF", dataset_import_jobs.describe),
    "ListDatasetImportJobs": OperationSpec("II NT", dataset_import_jobs.list_page),
    "CreateDatasetExportJob": OperationSpec("II NF AE LE IU TT", dataset_export_jobs.create),
    "DescribeDatasetExportJob": OperationSpec("II NF", dataset_export_jobs.describe),
    "ListDatasetExportJobs": OperationSpec("II NT", dataset_export_jobs.list_page),
    "CreateDataDeletionJob": OperationSpec("II NF AE LE IU TT", data_deletion_jobs.create),
    "DescribeDataDeletionJob": OperationSpec("II NF", data_deletion_jobs.describe),
    "ListDataDeletionJobs": OperationSpec("II NT", data_deletion_jobs.list_page),
    "DescribeRecipe": OperationSpec("II NF", recipes.describe),
    "ListRecipes": OperationSpec("NT II", recipes.list_page),
    "DescribeAlgorithm": OperationSpec("II NF", algorithms.describe),
    "DescribeFeatureTransformation": OperationSpec("II NF", feature_transformations.describe),
    "CreateSolution": OperationSpec("II AE NF LE IU TT", solutions.create),
    "DescribeSolution": OperationSpec("II NF", solutions.describe),
    "ListSolutions": OperationSpec("II NT", solutions.list_page),
    "UpdateSolution": OperationSpec("II NF IU LE", solution_updates.update),
    "DeleteSolution": OperationSpec("II NF IU", solutions.delete),
    "CreateSolutionVersion": OperationSpec("II NF LE IU TT AE", solution_versions.create),
    "DescribeSolutionVersion": OperationSpec("II NF", solution_versions.describe),
    "ListSolutionVersions": OperationSpec("II NF NT", solution_versions.list_page),
    "StopSolutionVersionCreation": OperationSpec("II NF IU", solution_versions.stop),
    "GetSolutionMetrics": OperationSpec("II NF IU", solution_versions.get_metrics),
    "CreateBatchInferenceJob": OperationSpec("II AE LE NF IU TT", batch_inference_jobs.create),
    "DescribeBatchInferenceJob": OperationSpec("II NF", batch_inference_jobs.describe),
    "ListBatchInferenceJobs": OperationSpec("II NT", batch_inference_jobs.list_page),
    "CreateEventTracker": OperationSpec("II AE NF LE IU TT", event_trackers.create),
    "DescribeEventTracker": OperationSpec("II NF", event_trackers.describe),
    "ListEventTrackers": OperationSpec("II NT", event_trackers.list_page),
    "DeleteEventTracker": OperationSpec("II NF IU", event_trackers.delete),
    "CreateFilter": OperationSpec("II AE NF LE TT", filters.create),
    "DescribeFilter": OperationSpec("II NF", filters.describe),
    "ListFilters": OperationSpec("II NT", filters.list_page),
    "DeleteFilter": OperationSpec("II NF IU", filters.delete),
    "CreateBatchSegmentJob": OperationSpec("II AE LE NF IU TT", batch_segment_jobs.create),
    "DescribeBatchSegmentJob": OperationSpec("II NF", batch_segment_jobs.describe),
    "ListBatchSegmentJobs": OperationSpec("II NT", batch_segment_jobs.list_page),
    "CreateMetricAttribution": OperationSpec("II NF AE IU LE", metric_attributions.create),
    "DescribeMetricAttribution": OperationSpec("II NF", metric_attributions.describe),
    "ListMetricAttributions": OperationSpec("II NT", metric_attributions.list_page),
    "ListMetricAttributionMetrics": OperationSpec("II NT", metric_attributions.list_metrics),
    "UpdateMetricAttribution": OperationSpec("II NF IU AE", metric_attributions.update),
    "DeleteMetricAttribution": OperationSpec("II NF IU", metric_attributions.delete),
    "CreateCampaign": OperationSpec("II NF AE LE IU TT", campaigns.create),
    "DescribeCampaign": OperationSpec("II NF", campaigns.describe),
    "ListCampaigns": OperationSpec("II NT", campaigns.list_page),
    "UpdateCampaign": OperationSpec("II NF IU", campaigns.update),
    "DeleteCampaign": OperationSpec("II NF IU", campaigns.delete),
    "CreateRecommender": OperationSpec("II AE NF LE IU TT", recommenders.create),
    "DescribeRecommender": OperationSpec("II NF", recommenders.describe),
    "ListRecommenders": OperationSpec("II NT", recommenders.list_page),
    "UpdateRecommender": OperationSpec("II NF IU", recommenders.update),
    "StopRecommender": OperationSpec("II NF IU", recommenders.stop),
    "StartRecommender": OperationSpec("II NF IU", recommenders.start),
    "DeleteRecommender": OperationSpec("II NF IU", recommenders.delete),
    "TagResource": OperationSpec("II NF TT IU LE", tags.add),
    "UntagResource": OperationSpec("II NF TK IU", tags.remove),
    "ListTagsForResource": OperationSpec("II NF IU", tags.list_tags),
}
