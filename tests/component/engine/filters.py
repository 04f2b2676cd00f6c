"""Filters of a group with interactions, items and users."""

from __future__ import annotations

from tests.component.engine.conftest import Engine
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA

USERS_SCHEMA = {
    "type": "record",
    "name": "Users",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "AGE", "type": ["null", "int"]},
        {"name": "MEMBER", "type": "boolean"},
    ],
    "version": "1.0",
}
SCHEMAS = {"Interactions": INTERACTIONS_SCHEMA, "Items": ITEMS_SCHEMA, "Users": USERS_SCHEMA}
BY_CATEGORY = "INCLUDE ItemID WHERE Items.CATEGORY IN ($CATEGORY)"


def make(engine: Engine, group: dict[str, str], name: str, expression: str) -> str:
    arn: str = engine.personalize.create_filter(
        name=name, datasetGroupArn=group["group"], filterExpression=expression
    )["filterArn"]
    return arn
