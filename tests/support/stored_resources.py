"""Documents and facts of one resource of each type, as they are stored."""

from __future__ import annotations

from typing import Any

from services.engine.domain import state

PREFIX = "arn:aws:personalize:eu-west-1:000000000000:"
GROUP, VERSION = f"{PREFIX}dataset-group/shop", f"{PREFIX}solution/s/0a1b2c3d"
ROLE = "arn:aws:iam::000000000000:role/r"
OUTPUT = {"s3DataDestination": {"path": "s3://endcap-data/shop/out/"}}
UPDATE = {"status": "ACTIVE", "creationDateTime": 1764400000.25, "lastUpdatedDateTime": 1764400000.5}
MODEL = {"model_uri": "s3://endcap-data/shop/models/s/1/", "model_sha256": "0" * 64}
CONFIG = {"syncWithLatestSolutionVersion": True, "itemExplorationConfig": {"explorationWeight": "0.3"}}
SETTINGS = {
    "performHPO": False,
    "performAutoML": False,
    "eventType": "purchase",
    "recipeArn": "arn:aws:personalize:::recipe/aws-sims",
    "datasetGroupArn": GROUP,
    "solutionConfig": {
        "algorithmHyperParameters": {"popularity_discount_factor": "0.5"},
        "eventsConfig": {"eventParametersList": [{"eventType": "view", "weight": 0.1}]},
        "autoTrainingConfig": {"schedulingExpression": "rate(7 days)"},
    },
}
ROWS: list[tuple[type[state.ResourceState], dict[str, Any], dict[str, Any]]] = [
    (state.DatasetGroup, {"domain": "ECOMMERCE", "roleArn": ROLE}, {"tags": {"team": "shop"}}),
    (state.Schema, {"schema": "{}"}, {"made_by": "shop"}),
    (
        state.Dataset,
        {
            "datasetGroupArn": GROUP,
            "datasetType": "ITEMS",
            "schemaArn": f"{PREFIX}schema/items",
            "latestDatasetUpdate": {"schemaArn": f"{PREFIX}schema/items"} | UPDATE,
        },
        {},
    ),
    (state.EventTracker, {"datasetGroupArn": GROUP, "trackingId": "t"}, {}),
    (state.Filter, {"datasetGroupArn": GROUP, "filterExpression": "INCLUDE ItemID"}, {}),
    (
        state.DatasetImportJob,
        {
            "datasetArn": f"{PREFIX}dataset/shop/ITEMS",
            "dataSource": {"dataLocation": "s3://endcap-uploads/shop/items.csv"},
            "importMode": "FULL",
            "publishAttributionMetricsToS3": True,
        },
        {"folders": ["shop/datasets/items/1/"], "rows": 12, "warnings": ["a warning"]},
    ),
    (
        state.DatasetExportJob,
        {
            "datasetArn": f"{PREFIX}dataset/shop/ITEMS",
            "ingestionMode": "ALL",
            "roleArn": ROLE,
            "jobOutput": OUTPUT,
        },
        {"store_key": "AKIA"},
    ),
    (
        state.DataDeletionJob,
        {
            "datasetGroupArn": GROUP,
            "dataSource": {"dataLocation": "s3://endcap-uploads/shop/users.csv"},
            "roleArn": ROLE,
            "numDeleted": 3,
        },
        {"deleted": 3, "models": 1, "receipt": {"tracker": {"users": 1}}, "rows_erased": True},
    ),
    (
        state.BatchInferenceJob,
        {
            "solutionVersionArn": VERSION,
            "filterArn": "arn:aws-cn:personalize:cn-north-1:1:filter/f",
            "numResults": 25,
            "jobInput": {"s3DataSource": {"path": "s3://endcap-uploads/shop/users.jsonl"}},
            "jobOutput": OUTPUT,
            "roleArn": ROLE,
            "batchInferenceJobMode": "BATCH_INFERENCE",
            "batchInferenceJobConfig": {"rankingInfluence": {"FRESHNESS": 0.5}},
        },
        {"filter": "INCLUDE ItemID"},
    ),
    (
        state.BatchSegmentJob,
        {
            "solutionVersionArn": VERSION,
            "numResults": 100,
            "jobInput": {"s3DataSource": {"path": "s3://endcap-uploads/shop/items.jsonl"}},
            "jobOutput": OUTPUT,
            "roleArn": ROLE,
        },
        {},
    ),
    (
        state.Solution,
        SETTINGS
        | {
            "performAutoTraining": True,
            "latestSolutionUpdate": {"performAutoTraining": True} | UPDATE,
        },
        {"recipe": "aws-sims"},
    ),
    (
        state.SolutionVersion,
        SETTINGS
        | {"solutionArn": f"{PREFIX}solution/s", "trainingMode": "FULL", "trainingType": "MANUAL"}
        | {"trainingHours": 0.01},
        MODEL
        | {"recipe": "aws-sims", "folder": "shop/models/s/1/", "metrics": {"coverage": 0.5}, "users": 9}
        | {"chosen": {"method": None}},
    ),
    (
        state.ModelRenewal,
        {"datasetGroupArn": GROUP, "trainingMode": "FULL"},
        {"recipe": "aws-semantic-similarity", "folder": "shop/models/s/1-2/"},
    ),
    (
        state.Campaign,
        {
            "solutionVersionArn": VERSION,
            "minProvisionedTPS": 1,
            "campaignConfig": CONFIG,
            "latestCampaignUpdate": {"solutionVersionArn": VERSION, "minProvisionedTPS": 1} | UPDATE,
        },
        MODEL | {"recipe": "aws-sims", "solution_version_arn": VERSION},
    ),
    (
        state.Recommender,
        {
            "datasetGroupArn": GROUP,
            "recipeArn": "arn:aws:personalize:::recipe/aws-ecomm-popular-items-by-views",
            "recommenderConfig": {"enableMetadataWithRecommendations": True},
            "latestRecommenderUpdate": UPDATE | {"status": "CREATE PENDING"},
        },
        MODEL
        | {"recipe": "aws-ecomm-popular-items-by-views", "update_training": 7, "metrics": {"coverage": 1.0}}
        | {"solution_version_arn": f"{PREFIX}recommender/r/0a1b2c3d"},
    ),
    (
        state.RecommenderTraining,
        {"datasetGroupArn": GROUP, "solutionConfig": {}, "trainingMode": "FULL"},
        {"recipe": "aws-ecomm-popular-items-by-views", "folder": "shop/models/r/1/"},
    ),
    (
        state.MetricAttribution,
        {"datasetGroupArn": GROUP, "metricsOutputConfig": OUTPUT | {"roleArn": ROLE}},
        {"metrics": [{"eventType": "view", "metricName": "views", "expression": "SAMPLECOUNT()"}]},
    ),
]
