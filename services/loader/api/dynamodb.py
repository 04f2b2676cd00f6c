"""DynamoDB: the active lists as tables, which can be described and have no operations on items.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_pascal

from services.loader.store.list_tables import ALL, ListTable, ListTables
from shared.auth import tenants_of
from shared.aws import WireError, WireModel
from shared.aws.accounts import AccountTenant, main_tenant
from shared.aws.protocols import JSON_10_TYPE
from shared.aws_server import Call, JsonService, Operation
from shared.events.values import Text
from shared.postgres import Database

CODES: Final = {"InvalidInputException": "ValidationException"}
NO_ITEMS: Final = (
    "The tables can be described and not read or written: ask GET /v1/recommendations/users/{user_id} or "
    "GetRecommendations for a user's items. See docs/from-aws.md."
)
_ITEM_OPERATIONS: Final = ("GetItem", "PutItem", "Query", "Scan", "UpdateItem", "DeleteItem")

TableName = Annotated[Text, StringConstraints(min_length=1, max_length=1024)]


class TableRequest(WireModel):
    """A request with the members of DynamoDB, which begin with a capital."""

    model_config = ConfigDict(alias_generator=to_pascal)


class DescribeTableRequest(TableRequest):
    """The request of DescribeTable: a name, or an ARN."""

    table_name: TableName


class ListTablesRequest(TableRequest):
    """The request of ListTables."""

    exclusive_start_table_name: TableName | None = None
    limit: int = Field(100, ge=1, le=100)


class Anything(TableRequest):
    """A request that is refused, whatever it holds."""


@dataclass(frozen=True, slots=True)
class DynamoDb:
    """The operations on tables."""

    database: Database
    tables: ListTables
    region: str

    def service(self) -> JsonService:
        """Return the service with its operations."""
        operations: tuple[Operation[Any], ...] = (
            Operation("DescribeTable", DescribeTableRequest, "read", self.describe),
            Operation("ListTables", ListTablesRequest, "read", self.list),
            *(Operation(name, Anything, "read", _refuse, declined=NO_ITEMS) for name in _ITEM_OPERATIONS),
        )
        otherwise = Operation("DynamoDB", Anything, "read", _refuse, declined=NO_ITEMS)
        return JsonService("DynamoDB_20120810", "dynamodb", JSON_10_TYPE, CODES, operations, otherwise)

    async def describe(self, call: Call, request: DescribeTableRequest) -> Mapping[str, Any]:
        """Describe a table; raises WireError ResourceNotFoundException for an unknown one."""
        name = request.table_name.rpartition("table/")[2]
        tenants = await tenants_of(self.database, call.principal)
        owner, own_name = _owner(name, tenants)
        tables = [] if owner is None else await self.tables.of_tenant(owner.tenant)
        for table in tables:
            if owner is not None and (
                own_name == table.name or (table.name == ALL and own_name.endswith(ALL))
            ):
                return {"Table": self._described(call, name, owner, table)}
        known = ", ".join(table.name for table in tables) or "none: train first"
        message = f"Requested resource not found: Table: {name} not found. The tables are {known}."
        raise WireError("ResourceNotFoundException", message)

    async def list(self, call: Call, request: ListTablesRequest) -> Mapping[str, Any]:
        """List the tables of all tenants of the account."""
        names: list[str] = []
        tenants = await tenants_of(self.database, call.principal)
        for each in tenants:
            prefix = "" if each == main_tenant(tenants) else f"{each.group}-"
            names += [f"{prefix}{table.name}" for table in await self.tables.of_tenant(each.tenant)]
        after = request.exclusive_start_table_name
        left = [name for name in sorted(names) if after is None or name > after]
        shown = left[: request.limit]
        more = {"LastEvaluatedTableName": shown[-1]} if len(left) > len(shown) else {}
        return {"TableNames": shown, **more}

    def _described(self, call: Call, name: str, owner: AccountTenant, table: ListTable) -> dict[str, Any]:
        region = call.region or self.region
        return {
            "TableName": name,
            "TableStatus": "ACTIVE",
            "TableArn": f"arn:aws:dynamodb:{region}:{owner.account}:table/{name}",
            "TableId": f"{owner.tenant}-{table.name}-{table.generation}",
            "CreationDateTime": table.activated_at,
            "ItemCount": table.lists,
            "TableSizeBytes": table.bytes,
            "KeySchema": [{"AttributeName": table.key, "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": table.key, "AttributeType": "S"}],
            "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
            "ProvisionedThroughput": {
                "NumberOfDecreasesToday": 0,
                "ReadCapacityUnits": 0,
                "WriteCapacityUnits": 0,
            },
        }


def _owner(name: str, tenants: Sequence[AccountTenant]) -> tuple[AccountTenant | None, str]:
    """Return the tenant of a table and its name there: `<group>-<name>`, else the main tenant's."""
    for tenant in tenants:
        if name.startswith(f"{tenant.group}-"):
            return tenant, name.removeprefix(f"{tenant.group}-")
    return main_tenant(tenants), name


async def _refuse(_: Call, __: Anything) -> Mapping[str, Any]:
    raise WireError("UnsupportedOperationException", NO_ITEMS)
