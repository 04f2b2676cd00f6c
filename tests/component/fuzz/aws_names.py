"""Right values for members of services of AWS other than Personalize."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.fuzz.documents import Embedded


def aws_names(made: Mapping[str, str]) -> dict[str, list[Any]]:
    """Values by the name of a member; `made` has the names of what `shop.filled` made."""
    return {
        "QueryExecutionId": [made["query"]],
        "QueryExecutionIds": [[made["query"]]],
        "QueryString": ["SELECT item_id FROM items LIMIT 1", "SHOW TABLES"],
        "QueryExecutionContext": [{"Database": "endcap", "Catalog": "AwsDataCatalog"}],
        "ExecutionParameters": [[]],
        "DatabaseName": ["endcap"],
        "TableName": ["orders"],
        "CatalogName": ["AwsDataCatalog"],
        "Name": ["orders", "endcap"],
        "Expression": ["or*"],
        "NextToken": [None],
        "stateMachineArn": ["arn:aws:states:eu-west-1:000000000000:stateMachine:ml-workflow"],
        "executionArn": [f"arn:aws:states:eu-west-1:000000000000:execution:ml-workflow:run-{made['run']}"],
        "input": [Embedded({"jobName": "nightly"})],
        "logGroupName": ["/aws/stepfunctions/ml-workflow"],
        "logStreamName": ["trainer"],
        "logStreamNames": [["trainer"]],
        "filterPattern": ["ERROR", '"run 1" -step'],
        "startTime": [0, 1_700_000_000_000],
        "endTime": [2_000_000_000_000],
    }
