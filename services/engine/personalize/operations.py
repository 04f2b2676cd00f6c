"""The control plane as one table: operation → request, answer, errors, handler.

Dispatch, checks, idempotency, pages and errors exist once, for all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from services.engine.personalize import (
    algorithms,
    attributions,
    batches,
    campaigns,
    catalogue,
    datasets,
    deletions,
    exports,
    filters,
    groups,
    imports,
    recommenders,
    schemas,
    segments,
    solution_updates,
    solutions,
    tags,
    trackers,
    versions,
)
from services.engine.personalize.members import Page
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
class Row:
    """One operation. `errors` are the exceptions that the service declares for it.

    Every operation needs the scope `admin`; `also_needs` are those that it needs beside it.
    """

    request: type[WireModel]
    answer: type[WireModel] | None
    errors: str
    handle: Callable[..., Awaitable[Any]]
    also_needs: tuple[Scope, ...] = ()

    @property
    def declared(self) -> frozenset[str]:
        """The names of its exceptions."""
        return frozenset(ERRORS[short] for short in self.errors.split())


def is_change(operation: str) -> bool:
    """Whether a repeated call must be told from a new one."""
    return not operation.startswith(("Describe", "List", "Get"))


# fmt: off
TABLE: dict[str, Row] = {
    "CreateDatasetGroup": Row(
        groups.CreateDatasetGroup, groups.DatasetGroupCreated, "II AE LE TT", groups.create),
    "DescribeDatasetGroup": Row(
        groups.DatasetGroupName, groups.DatasetGroupDescribed, "II NF", groups.describe),
    "ListDatasetGroups": Row(
        Page, groups.DatasetGroupsListed, "NT", groups.listed),
    "DeleteDatasetGroup": Row(
        groups.DatasetGroupName, None, "II NF IU", groups.delete),

    "CreateSchema": Row(
        schemas.CreateSchema, schemas.SchemaCreated, "II AE LE", schemas.create),
    "DescribeSchema": Row(
        schemas.SchemaName, schemas.SchemaDescribed, "II NF", schemas.describe),
    "ListSchemas": Row(
        Page, schemas.SchemasListed, "NT", schemas.listed),
    "DeleteSchema": Row(
        schemas.SchemaName, None, "II NF IU", schemas.delete),

    "CreateDataset": Row(
        datasets.CreateDataset, datasets.DatasetCreated, "II NF AE LE IU TT", datasets.create),
    "DescribeDataset": Row(
        datasets.DatasetName, datasets.DatasetDescribed, "II NF", datasets.describe),
    "ListDatasets": Row(
        datasets.ListDatasets, datasets.DatasetsListed, "II NT", datasets.listed),
    "UpdateDataset": Row(
        datasets.UpdateDataset, datasets.DatasetCreated, "II NF IU", datasets.update),
    "DeleteDataset": Row(
        datasets.DatasetName, None, "II NF IU", datasets.delete),

    "CreateDatasetImportJob": Row(
        imports.CreateDatasetImportJob, imports.DatasetImportJobCreated, "II NF AE LE IU TT",
        imports.create, also_needs=("catalogue",)),
    "DescribeDatasetImportJob": Row(
        imports.DatasetImportJobName, imports.DatasetImportJobDescribed, "II NF", imports.describe),
    "ListDatasetImportJobs": Row(
        imports.ListDatasetImportJobs, imports.DatasetImportJobsListed, "II NT", imports.listed),

    "CreateDatasetExportJob": Row(
        exports.CreateDatasetExportJob, exports.DatasetExportJobCreated, "II NF AE LE IU TT",
        exports.create),
    "DescribeDatasetExportJob": Row(
        exports.DatasetExportJobName, exports.DatasetExportJobDescribed, "II NF", exports.describe),
    "ListDatasetExportJobs": Row(
        exports.ListDatasetExportJobs, exports.DatasetExportJobsListed, "II NT", exports.listed),

    "CreateDataDeletionJob": Row(
        deletions.CreateDataDeletionJob, deletions.DataDeletionJobCreated, "II NF AE LE IU TT",
        deletions.create),
    "DescribeDataDeletionJob": Row(
        deletions.DataDeletionJobName, deletions.DataDeletionJobDescribed, "II NF", deletions.describe),
    "ListDataDeletionJobs": Row(
        deletions.ListDataDeletionJobs, deletions.DataDeletionJobsListed, "II NT", deletions.listed),

    "DescribeRecipe": Row(
        catalogue.RecipeName, catalogue.RecipeDescribed, "II NF", catalogue.describe),
    "ListRecipes": Row(
        catalogue.ListRecipes, catalogue.RecipesListed, "NT II", catalogue.listed),
    "DescribeAlgorithm": Row(
        algorithms.AlgorithmName, algorithms.AlgorithmDescribed, "II NF", algorithms.describe),
    "DescribeFeatureTransformation": Row(
        algorithms.FeatureTransformationName, algorithms.FeatureTransformationDescribed, "II NF",
        algorithms.describe_transformation),

    "CreateSolution": Row(
        solutions.CreateSolution, solutions.SolutionCreated, "II AE NF LE IU TT", solutions.create),
    "DescribeSolution": Row(
        solutions.SolutionName, solutions.SolutionDescribed, "II NF", solutions.describe),
    "ListSolutions": Row(
        solutions.ListSolutions, solutions.SolutionsListed, "II NT", solutions.listed),
    "UpdateSolution": Row(
        solution_updates.UpdateSolution, solutions.SolutionCreated, "II NF IU LE",
        solution_updates.update),
    "DeleteSolution": Row(
        solutions.SolutionName, None, "II NF IU", solutions.delete),

    "CreateSolutionVersion": Row(
        versions.CreateSolutionVersion, versions.SolutionVersionCreated, "II NF LE IU TT AE",
        versions.create),
    "DescribeSolutionVersion": Row(
        versions.SolutionVersionName, versions.SolutionVersionDescribed, "II NF", versions.describe),
    "ListSolutionVersions": Row(
        versions.ListSolutionVersions, versions.SolutionVersionsListed, "II NF NT", versions.listed),
    "StopSolutionVersionCreation": Row(
        versions.SolutionVersionName, None, "II NF IU", versions.stop),
    "GetSolutionMetrics": Row(
        versions.SolutionVersionName, versions.SolutionMetrics, "II NF IU", versions.metrics),

    "CreateBatchInferenceJob": Row(
        batches.CreateBatchInferenceJob, batches.BatchInferenceJobCreated, "II AE LE NF IU TT",
        batches.create),
    "DescribeBatchInferenceJob": Row(
        batches.BatchInferenceJobName, batches.BatchInferenceJobDescribed, "II NF", batches.describe),
    "ListBatchInferenceJobs": Row(
        batches.ListBatchInferenceJobs, batches.BatchInferenceJobsListed, "II NT", batches.listed),

    "CreateEventTracker": Row(
        trackers.CreateEventTracker, trackers.EventTrackerCreated, "II AE NF LE IU TT",
        trackers.create),
    "DescribeEventTracker": Row(
        trackers.EventTrackerName, trackers.EventTrackerDescribed, "II NF", trackers.describe),
    "ListEventTrackers": Row(
        trackers.ListEventTrackers, trackers.EventTrackersListed, "II NT", trackers.listed),
    "DeleteEventTracker": Row(
        trackers.EventTrackerName, None, "II NF IU", trackers.delete),

    "CreateFilter": Row(
        filters.CreateFilter, filters.FilterName, "II AE NF LE TT", filters.create),
    "DescribeFilter": Row(
        filters.FilterName, filters.FilterDescribed, "II NF", filters.describe),
    "ListFilters": Row(
        filters.ListFilters, filters.FiltersListed, "II NT", filters.listed),
    "DeleteFilter": Row(
        filters.FilterName, None, "II NF IU", filters.delete),

    "CreateBatchSegmentJob": Row(
        segments.CreateBatchSegmentJob, segments.BatchSegmentJobCreated, "II AE LE NF IU TT",
        segments.create),
    "DescribeBatchSegmentJob": Row(
        segments.BatchSegmentJobName, segments.BatchSegmentJobDescribed, "II NF", segments.describe),
    "ListBatchSegmentJobs": Row(
        segments.ListBatchSegmentJobs, segments.BatchSegmentJobsListed, "II NT", segments.listed),

    "CreateMetricAttribution": Row(
        attributions.CreateMetricAttribution, attributions.MetricAttributionName, "II NF AE IU LE",
        attributions.create),
    "DescribeMetricAttribution": Row(
        attributions.MetricAttributionName, attributions.MetricAttributionDescribed, "II NF",
        attributions.describe),
    "ListMetricAttributions": Row(
        attributions.ListMetricAttributions, attributions.MetricAttributionsListed, "II NT",
        attributions.listed),
    "ListMetricAttributionMetrics": Row(
        attributions.ListMetricAttributionMetrics, attributions.MetricsListed, "II NT",
        attributions.metrics),
    "UpdateMetricAttribution": Row(
        attributions.UpdateMetricAttribution, attributions.MetricAttributionName, "II NF IU AE",
        attributions.update),
    "DeleteMetricAttribution": Row(
        attributions.MetricAttributionName, None, "II NF IU", attributions.delete),

    "CreateCampaign": Row(
        campaigns.CreateCampaign, campaigns.CampaignName, "II NF AE LE IU TT", campaigns.create),
    "DescribeCampaign": Row(
        campaigns.CampaignName, campaigns.CampaignDescribed, "II NF", campaigns.describe),
    "ListCampaigns": Row(
        campaigns.ListCampaigns, campaigns.CampaignsListed, "II NT", campaigns.listed),
    "UpdateCampaign": Row(
        campaigns.UpdateCampaign, campaigns.CampaignName, "II NF IU", campaigns.update),
    "DeleteCampaign": Row(
        campaigns.CampaignName, None, "II NF IU", campaigns.delete),

    "CreateRecommender": Row(
        recommenders.CreateRecommender, recommenders.RecommenderName, "II AE NF LE IU TT",
        recommenders.create),
    "DescribeRecommender": Row(
        recommenders.RecommenderName, recommenders.RecommenderDescribed, "II NF", recommenders.describe),
    "ListRecommenders": Row(
        recommenders.ListRecommenders, recommenders.RecommendersListed, "II NT", recommenders.listed),
    "UpdateRecommender": Row(
        recommenders.UpdateRecommender, recommenders.RecommenderName, "II NF IU", recommenders.update),
    "StopRecommender": Row(
        recommenders.RecommenderName, recommenders.RecommenderName, "II NF IU", recommenders.stop),
    "StartRecommender": Row(
        recommenders.RecommenderName, recommenders.RecommenderName, "II NF IU", recommenders.start),
    "DeleteRecommender": Row(
        recommenders.RecommenderName, None, "II NF IU", recommenders.delete),

    "TagResource": Row(
        tags.TagResource, tags.TagsChanged, "II NF TT IU LE", tags.add),
    "UntagResource": Row(
        tags.UntagResource, tags.TagsChanged, "II NF TK IU", tags.remove),
    "ListTagsForResource": Row(
        tags.ResourceArn, tags.TagsListed, "II NF IU", tags.listed),
}
# fmt: on
