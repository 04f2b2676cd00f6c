"""Right values for members and parameters: the names of what `shop.filled` made."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from tests.component.engine.conftest import ROLE
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA
from tests.component.fuzz.aws_names import aws_names
from tests.component.fuzz.other_services import MAPPING, ROWS
from tests.component.fuzz.report_names import report_values
from tests.component.fuzz.shop import FILTER, METRIC, RECIPES
from tests.component.fuzz.source_names import source_values
from tests.component.fuzz.vendors import vendor_values
from tests.support.fuzz.documents import Embedded
from tests.support.fuzz.targets import UNDOCUMENTED_QUERY, Known

_numbers = itertools.count()


def _new() -> str:
    return f"new-{next(_numbers)}"


def known(made: Mapping[str, str], tracking_id: str) -> Known:
    """Values by the name of a member, for every target."""
    place = made["place"]
    recipes = [
        f"{RECIPES}/aws-{name}" for name in ("user-personalization", "similar-items", "popularity-count")
    ]
    return {
        **_arns(made, recipes),
        "name": [_new, _new, "home"],
        "strategies": [[{"strategy": "for-you"}]],
        "rules": [{}],
        "filters": [[]],
        "if-match": ["*"],
        "segment": ["champions", "lost"],
        "jobName": [_new],
        "nextToken": [None],
        "maxResults": [1, 2, 100],
        "tags": [[{"tagKey": "team", "tagValue": "search"}]],
        "tagKeys": [["team"], ["none"]],
        "roleArn": [ROLE],
        "kmsKeyArn": ["arn:aws:kms:eu-west-1:000000000000:key/a"],
        "schema": [Embedded(ITEMS_SCHEMA), Embedded(INTERACTIONS_SCHEMA)],
        "datasetType": ["Interactions", "Items", "Users", "Actions"],
        "domain": ["ECOMMERCE"],
        "performAutoML": [False],
        "dataLocation": [f"{place}Items.csv", f"{place}Interactions.csv"],
        "path": [f"{place}users.json", f"{place}out/"],
        "filterExpression": [FILTER, 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("View")'],
        "metrics": [[METRIC]],
        "addMetrics": [[{**METRIC, "metricName": "more"}]],
        "removeMetrics": [["more"]],
        "itemAttribute": ["PRICE"],
        "schedulingExpression": ["rate(7 days)"],
        "excludedDatasetColumns": [{"Items": ["CATEGORY"]}],
        "includedDatasetColumns": [None],
        "algorithmHyperParameters": [{"hidden_dimension": "43"}],
        "featureTransformationParameters": [{}],
        "itemExplorationConfig": [{"explorationWeight": "0.3", "explorationItemAgeCutOff": "30"}],
        "rankingInfluence": [{"POPULARITY": 0.2}],
        "eventValueThreshold": ["0.5"],
        "eventsConfig": [{"eventParametersList": [{"eventType": "View", "weight": 0.5}]}],
        "autoMLConfig": [None],
        "trainingMode": ["FULL"],
        "batchInferenceJobMode": ["BATCH_INFERENCE"],
        "themeGenerationConfig": [None],
        "eventType": ["View", "Purchase"],
        "event_type": ["view", "purchase"],
        "query": [
            'query Q { getRecommendations(userId: "u1", limit: 3) { items { itemId score } nextToken } }',
            'query Q { placement(name: "home", cart: ["i1"]) { items { itemId strategy } source } }',
        ],
        "operationName": ["Q"],
        "time_filter": ["all", "30days", "today"],
        **aws_names(made),
        **_ids(tracking_id),
    }


def _arns(made: Mapping[str, str], recipes: list[str]) -> dict[str, list[Any]]:
    campaigns = [made["user-campaign"], made["similar-campaign"]]
    return {
        "datasetGroupArn": [made["group"]],
        "schemaArn": [made["Items-schema"], made["spare-schema"]],
        "datasetArn": [made["Items"], made["Users"]],
        "datasetImportJobArn": [made["import"]],
        "datasetExportJobArn": [made["export"]],
        "dataDeletionJobArn": [made["deletion"]],
        "solutionArn": [made["user-solution"], made["similar-solution"]],
        "solutionVersionArn": [made["user-version"], made["similar-version"]],
        "batchInferenceJobArn": [made["batch"]],
        "campaignArn": campaigns,
        "filterArn": [made["filter"]],
        "eventTrackerArn": [made["tracker"]],
        "metricAttributionArn": [made["attribution"]],
        "recommenderArn": [made["recommender"]],
        "batchSegmentJobArn": [made["segment"]],
        "resourceArn": [made["group"], made["filter"], *campaigns],
        "recipeArn": recipes,
        "algorithmArn": ["arn:aws:personalize:::algorithm/aws-user-personalization"],
        "featureTransformationArn": [
            "arn:aws:personalize:::feature-transformation/JSON-percentile-filtering"
        ],
    }


def _ids(tracking_id: str) -> dict[str, list[Any]]:
    users, items = ["u1", "u2", "nobody"], ["i1", "i2", "i3"]
    return {
        "userId": users,
        "user_id": users,
        "sessionId": ["session"],
        "session_id": ["session"],
        "itemId": items,
        "item_id": items,
        "productId": items,
        "product_id": items,
        "order_id": ["o1"],
        "trackingId": [tracking_id],
        "inputList": [items],
        "impression": [items],
        "context": [None],
        "filterValues": [{"CATEGORY": '"shelf-1"'}],
        "metadataColumns": [{"ITEMS": ["CATEGORY", "PRICE"]}],
        "properties": [Embedded({"colour": "red", "discount": 0.5})],
        "recommendationId": ["RID-6f1a5b0e-5d0c-4b55-9c5e-000000000000"],
        "promotions": [None],
        "strategy": ["popularity"],
        "traffic": [1.0],
        "salt": ["pepper"],
        "surface": ["recommendations", "campaign/user"],
    }


def exceptions(made: Mapping[str, str], tokens: Mapping[str, str]) -> dict[str, Known]:
    """Values that are right for one target alone. What is deleted is there for that."""
    item = [Embedded({"CATEGORY": "shelf-1", "PRICE": 2.5})]
    of_the_user = {"campaignArn": [made["user-campaign"]], "itemId": [None], "recommenderArn": [None]}
    recommendation = {**of_the_user, "numResults": [0, 5, 25]}
    placement: Known = {
        "name": ["home", "product"],
        **{key: ["u1"] for key in ("user_id", "userId", "session_id", "sessionId")},
        **{key: ["i1"] for key in ("item_id", "itemId", "product_id", "productId")},
        **{key: [5] for key in ("limit", "num_results", "numResults")},
    }
    native = {
        "properties": [{"colour": "red"}],
        "impression": [["i1"]],
        "specversion": ["1.0"],
        "data": [{"user_id": "u1", "item_id": "i1"}],
    }
    return {
        "engine DeleteSchema": {"schemaArn": [made["spare-schema"], made["Items-schema"]]},
        "engine DeleteCampaign": {"campaignArn": [made["spare-campaign"]]},
        "engine DeleteFilter": {"filterArn": [made["spare-filter"]]},
        "engine DeleteDatasetGroup": {"datasetGroupArn": [made["group"]]},
        "engine DeleteDataset": {"datasetArn": [made["Interactions"]]},
        "engine DeleteEventTracker": {"eventTrackerArn": [made["spare-tracker"]]},
        "engine DeleteMetricAttribution": {"metricAttributionArn": [made["spare-attribution"]]},
        "engine DeleteRecommender": {"recommenderArn": [made["spare-recommender"]]},
        "engine CreateBatchSegmentJob": {"solutionVersionArn": [made["segment-version"]]},
        "engine StopSolutionVersionCreation": {"solutionVersionArn": [made["pending-version"]]},
        "engine DeleteSolution": {"solutionArn": [made["user-solution"]]},
        "engine UpdateDataset": {"datasetArn": [made["Items"]], "schemaArn": [made["Items-schema"]]},
        "engine CreateDataset": {
            "datasetGroupArn": [made["empty-group"]],
            "datasetType": ["Items"],
            "schemaArn": [made["Items-schema"]],
        },
        "engine CreateRecommender": {
            "datasetGroupArn": [made["domain-group"]],
            "recipeArn": [f"{RECIPES}/aws-ecomm-popular-items-by-views"],
        },
        "engine POST /v1/keys": {
            "kind": ["read", "ingest"],
            "expires": [None, "7d"],
            "allowed_origins": [["https://shop.example"]],
        },
        "engine DELETE /v1/placements/{name}": {"name": [made["spare-placement"]]},
        "engine PUT /v1/placements/{name}": {"name": [_new, "home", made["spare-placement"]]},
        "engine GET /v1/dead-letters/{id}": {"id": [made["dead-letter"]]},
        "engine POST /v1/dead-letters/{id}/replay": {"id": [made["dead-letter"]], "value": [made["mended"]]},
        "engine DELETE /v1/keys/{id}": {"id": [made["spare-key"]]},
        "engine POST /v1/keys/{id}/rotate": {"id": [made["key"]], "hours": [1, 24]},
        "engine ListSchemas": {"nextToken": [None, tokens["schemas"]]},
        "engine ListCampaigns": {"nextToken": [None, tokens["campaigns"]], "solutionArn": [None]},
        **source_values(made, _new),
        "tracker POST /items": {"datasetArn": [made["Items"]], "properties": item},
        "tracker POST /users": {"datasetArn": [made["Users"]], "properties": [Embedded({"AGE": 30})]},
        "tracker POST /v1/events": native,
        **vendor_values(),
        "recommender GET /graphql": {"variables": ["{}"]},
        "recommender POST /recommendations": recommendation,
        "recommender POST /personalize-ranking": of_the_user,
        "recommender GET /api/v1/placements/{name}": placement,
        "recommender GET /v1/placements/{name}/explanation": placement,
        "recommender GET /api/v1/placements/{name}/stream": placement,
        "recommender POST /v1/placements/{name}/preview": placement,
        "recommender POST /v1/placements/{name}/replay": {
            **placement,
            "name": ["product"],
            "experiment": [made["placed"]],
        },
        "router POST /v1/experiments/{name}/off-policy": {**placement, "name": [made["placed"]]},
        "router POST /v1/placements/{name}/preview": {**placement, UNDOCUMENTED_QUERY: [[("user_id", "u1")]]},
        "recommender POST /api/v1/pages": {
            "placements": [["home", "product"], [{"placement": "home", "limit": 2}]],
            "placement": [None],
            "users": [[]],
        },
        "router POST /recommendations": recommendation,
        "router POST /personalize-ranking": of_the_user,
        **{
            f"router GET {prefix}/{{path}}": {
                "path": ["recommendations/u1", "similar-items/i1", "i1", "status"]
            }
            for prefix in ("/api/v1/personalize", "/api/personalize/recommendations")
        },
        "router GET /api/personalize/recommendations": {UNDOCUMENTED_QUERY: [[("userId", "u1")]]},
        **_experiments(made),
        "loader GET /v1/generations/{generation}": {"generation": [1]},
        "loader POST /v1/generations/{generation}/activate": {"generation": [1], "force": [True]},
        "trainer GET /v1/runs/{run}": {"run": [made["run"]]},
        "trainer POST /v1/runs/{run}/cancel": {"run": [made["run"]]},
        "trainer GET /v1/schedules/{name}": {"name": ["kept"]},
        "trainer PUT /v1/schedules/{name}": {"name": ["often"], "cron": ["0 2 * * *"], "timezone": ["UTC"]},
        "sync POST /v1/imports": {
            "kind": ["items"],
            "file": [ROWS["items"]],
            "source": ["", "endcap"],
            "mapping": [Embedded(MAPPING), ""],
        },
        "sync POST /v1/imports/objects": {
            "location": [f"{made['place']}Items.csv", f"{made['place']}Interactions.csv"],
            "kind": ["items", None],
        },
        "sync GET /v1/items": {"category": ["tea"], "search": ["green tea"], "limit": ["2"], "offset": ["0"]},
        "sync GET /v1/users": {"after": ["u0"], "limit": ["2"]},
        "sync GET /v1/orders": {"user_id": ["u1"], "limit": ["2"]},
        "sync GET /v1/items/{item_id}": {"item_id": ["i1"]},
        "sync DELETE /v1/items/{item_id}": {"item_id": ["spare"]},
        **report_values(made),
        "loader DynamoDB_20120810.DescribeTable": {"TableName": ["recommendations"]},
        "engine POST /2015-03-31/functions/{name}/invocations": {"name": ["x-personalize-manager"]},
        "sync GET /v1/users/{user_id}": {"user_id": ["u1"]},
        "engine GET /v1/erasures/{name}": {"name": ["deletion"]},
        "engine GET /v1/user-exports/{user_id}": {"user_id": ["u1"]},
        "recommender GET /v1/user-keys/{user_id}": {"user_id": ["u1"]},
        "sync GET /v1/imports/{import_id}": {"import_id": [made["sync-import"]]},
        "sync GET /v1/imports/{import_id}/rejects": {"import_id": [made["sync-import"]]},
    }


def _experiments(made: Mapping[str, str]) -> dict[str, Known]:
    """Right values of the routes of experiments; each change that ends one has its own."""
    variants = [{"name": "a", "weight": 1}, {"name": "b", "strategy": "popularity"}]
    metric = {"name": "clicks", "event": "click", "measure": "events", "per": None, "winsorize": 0.9}
    of_one: Known = {
        "name": [made["experiment"]],
        "version": [1],
        "variant": ["a", "b"],
        "reason": ["It sold more."],
        "pre_days": [0, 14],
        "effect": [0.1],
        "metric": [None, "purchase-conversion"],
        "sample": [100],
    }
    path = "/v1/experiments/{name}"
    switches = ("variants/{variant}/disable", "variants/{variant}/enable")
    return {
        "router POST /v1/experiments": {
            "variants": [variants],
            "strategy": ["popularity", None],
            "metrics": [None, [metric]],
            "layer": [None, {"name": "home", "start": 0.0, "end": 0.5}],
            "unit": ["session_else_user"],
        },
        f"router DELETE {path}": {"name": [made["draft"]]},
        **{
            f"router GET {path}{part}": of_one
            for part in ("", "/results", "/series", "/interactions", "/changes")
        },
        f"router GET {path}/decision": {**of_one, "name": [made["decided"]]},
        **{f"router POST {path}/{call}": of_one for call in ("start", "pause", *switches)},
        f"router POST {path}/split": {**of_one, "units": [["u1"]]},
        f"router PUT {path}/forced": {**of_one, "units": [{"u1": "a"}]},
        f"router POST {path}/stop": {"name": [made["stopping"]]},
        f"router POST {path}/decide": {**of_one, "name": [made["deciding"]]},
        f"router POST {path}/archive": {"name": [made["stopped"]]},
        "recommender GET /api/v1/ab-test/variant": {"dashboard": [made["experiment"]], "user_id": ["u1"]},
        "recommender GET /api/v1/ml/ab-test/recommendations/{user_id}": {
            "user_id": ["u1"],
            "algorithm": [None, "usual"],
        },
    }
