"""The catalogue of Athena and Glue: a database for each tenant, with the views that SQL reads as its tables.

https://docs.aws.amazon.com/glue/latest/webapi/API_GetTable.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from services.analytics.api.athena_requests import (
    GlueDatabase,
    GluePartitions,
    GlueTable,
    GlueTables,
    Listing,
    ListTableMetadata,
    OfCatalog,
    OfDatabase,
    OfTable,
    OfWorkGroup,
)
from services.analytics.domain.athena_values import glue_type
from services.analytics.domain.sql import DATABASE, LAKE_VIEWS, VIEWS
from services.analytics.store.queries import QueryRunner
from services.analytics.store.query_executions import QueryExecutions
from shared.auth import tenants_of
from shared.aws import WireError
from shared.aws.accounts import AccountTenant, main_tenant
from shared.aws.protocols import JSON_11_TYPE
from shared.aws_server import Call, JsonService, Operation

if TYPE_CHECKING:
    from shared.postgres import Database
    from shared.settings import S3Settings

CATALOG: Final = "AwsDataCatalog"
NOT_FOUND: Final = "EntityNotFoundException"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The databases and tables that a caller may query."""

    connection: Database
    runner: QueryRunner
    executions: QueryExecutions
    s3: S3Settings

    async def tenants(self, call: Call) -> list[AccountTenant]:
        """Return the tenants of a caller; raises WireError AccessDeniedException if there are none."""
        tenants = await tenants_of(self.connection, call.principal)
        if not tenants:
            raise WireError("AccessDeniedException", "There is no dataset group in this account.")
        return tenants

    def database(self, tenants: Sequence[AccountTenant], owner: AccountTenant) -> str:
        """Return the name of a tenant's database: `endcap` of the main one, else its dataset group's."""
        return DATABASE if owner == main_tenant(tenants) else owner.group

    def owner(
        self, tenants: Sequence[AccountTenant], context: str | None, named: Collection[str] = ()
    ) -> tuple[AccountTenant, str]:
        """Return the tenant of a query and the database that its tables may name.

        A database is that of the dataset group of its name; any other name is the main tenant's, as manuals
        have it. Raises WireError InvalidRequestException if that is unclear, or for databases of two tenants.
        """
        names = list(named) or [(context or DATABASE).lower()]
        owners = {self._owner(tenants, name) for name in names}
        if len(owners) != 1 or None in owners:
            databases = ", ".join(self.database(tenants, each) for each in tenants)
            message = f"Name one database of these: {databases}."
            raise WireError("InvalidRequestException", message, members={"Message": message})
        (owner,) = owners
        assert owner is not None
        if len(names) > 1 and set(names) - {DATABASE, owner.group.lower()}:
            message = f"Name one database, not {', '.join(sorted(names))}."
            raise WireError("InvalidRequestException", message, members={"Message": message})
        return owner, names[0] if len(names) == 1 else owner.group

    def _owner(self, tenants: Sequence[AccountTenant], name: str) -> AccountTenant | None:
        for each in tenants:
            if name in {each.group.lower(), each.group.lower().replace("-", "_")}:
                return each
        return main_tenant(tenants)

    def athena_operations(self) -> tuple[Operation[Any], ...]:
        """Return Athena's operations on workgroups, catalogs, databases and tables."""
        return (
            Operation("GetWorkGroup", OfWorkGroup, "admin", self.work_group),
            Operation("ListWorkGroups", Listing, "admin", self.work_groups),
            Operation("GetDataCatalog", OfCatalog, "admin", self.catalog),
            Operation("ListDataCatalogs", Listing, "admin", self.catalogs),
            Operation("GetDatabase", OfDatabase, "admin", self.athena_database),
            Operation("ListDatabases", OfCatalog, "admin", self.athena_databases),
            Operation("GetTableMetadata", OfTable, "admin", self.table_metadata),
            Operation("ListTableMetadata", ListTableMetadata, "admin", self.tables_metadata),
        )

    def glue(self) -> JsonService:
        """Return Glue with its operations."""
        operations: tuple[Operation[Any], ...] = (
            Operation("GetDatabase", GlueDatabase, "admin", self.glue_database),
            Operation("GetDatabases", Listing, "admin", self.glue_databases),
            Operation("GetTable", GlueTable, "admin", self.glue_table),
            Operation("GetTables", GlueTables, "admin", self.glue_tables),
            Operation("GetPartitions", GluePartitions, "admin", self.partitions),
            Operation("DeleteTable", GlueTable, "admin", self.delete_table),
        )
        return JsonService("AWSGlue", "glue", JSON_11_TYPE, {}, operations)

    async def work_group(self, call: Call, request: OfWorkGroup) -> Mapping[str, Any]:
        """Describe a workgroup: every name is one with the same configuration."""
        owner, _ = self.owner(await self.tenants(call), None)
        place = f"s3://{self.s3.endcap_uploads_bucket}/{owner.tenant}/athena-results/"
        configuration = {
            "ResultConfiguration": {"OutputLocation": place},
            "EnforceWorkGroupConfiguration": False,
            "PublishCloudWatchMetricsEnabled": False,
            "RequesterPaysEnabled": False,
            "EngineVersion": {
                "SelectedEngineVersion": "AUTO",
                "EffectiveEngineVersion": "Athena engine version 3",
            },
        }
        group = {"Name": request.work_group, "State": "ENABLED", "Configuration": configuration}
        return {"WorkGroup": group | {"CreationTime": owner.created_at}}

    async def work_groups(self, call: Call, _: Listing) -> Mapping[str, Any]:
        """List the workgroup `primary`."""
        tenants = await self.tenants(call)
        group = {"Name": "primary", "State": "ENABLED", "CreationTime": tenants[0].created_at}
        return {"WorkGroups": [group]}

    async def catalog(self, _: Call, request: OfCatalog) -> Mapping[str, Any]:
        """Describe a catalog: there is one, AwsDataCatalog."""
        return {"DataCatalog": {"Name": request.name, "Type": "GLUE", "Status": "CREATE_COMPLETE"}}

    async def catalogs(self, _: Call, __: Listing) -> Mapping[str, Any]:
        """List the catalog."""
        return {"DataCatalogsSummary": [{"CatalogName": CATALOG, "Type": "GLUE"}]}

    async def athena_database(self, call: Call, request: OfDatabase) -> Mapping[str, Any]:
        """Describe a database."""
        self.owner(await self.tenants(call), request.database_name)
        return {"Database": {"Name": request.database_name}}

    async def athena_databases(self, call: Call, _: OfCatalog) -> Mapping[str, Any]:
        """List the databases of the account: one for each tenant."""
        tenants = await self.tenants(call)
        return {"DatabaseList": [{"Name": self.database(tenants, each)} for each in tenants]}

    async def table_metadata(self, call: Call, request: OfTable) -> Mapping[str, Any]:
        """Describe a table; raises WireError MetadataException for an unknown one."""
        table = await self._table(call, request.database_name, request.table_name)
        if table is None:
            raise WireError("MetadataException", f"Table {request.table_name} was not found.")
        return {"TableMetadata": _athena_table(table)}

    async def tables_metadata(self, call: Call, request: ListTableMetadata) -> Mapping[str, Any]:
        """List the tables of a database whose name contains a match of an expression."""
        tables = await self._tables(call, request.database_name, request.expression)
        return {"TableMetadataList": [_athena_table(table) for table in tables]}

    async def glue_database(self, call: Call, request: GlueDatabase) -> Mapping[str, Any]:
        """Describe a database."""
        owner, _ = self.owner(await self.tenants(call), request.name)
        return {"Database": {"Name": request.name, "CreateTime": owner.created_at}}

    async def glue_databases(self, call: Call, _: Listing) -> Mapping[str, Any]:
        """List the databases."""
        tenants = await self.tenants(call)
        return {
            "DatabaseList": [
                {"Name": self.database(tenants, each), "CreateTime": each.created_at} for each in tenants
            ]
        }

    async def glue_table(self, call: Call, request: GlueTable) -> Mapping[str, Any]:
        """Describe a table; raises WireError EntityNotFoundException for an unknown one."""
        table = await self._table(call, request.database_name, request.name)
        if table is None:
            raise WireError(NOT_FOUND, f"Entity Not Found: table {request.name}")
        return {"Table": table}

    async def glue_tables(self, call: Call, request: GlueTables) -> Mapping[str, Any]:
        """List the tables of a database whose name contains a match of an expression."""
        return {"TableList": await self._tables(call, request.database_name, request.expression)}

    async def partitions(self, call: Call, request: GluePartitions) -> Mapping[str, Any]:
        """Return no partitions: the tables are Delta tables, which hold their own.

        Raises WireError EntityNotFoundException for an unknown table.
        """
        if await self._table(call, request.database_name, request.table_name) is None:
            raise WireError(NOT_FOUND, f"Entity Not Found: table {request.table_name}")
        return {"Partitions": []}

    async def delete_table(self, call: Call, request: GlueTable) -> Mapping[str, Any]:
        """Forget a table that a query made; raises WireError for the tables of the lake and unknown ones."""
        owner, _ = self.owner(await self.tenants(call), request.database_name)
        if request.name.lower() in VIEWS:
            raise WireError("InvalidInputException", f"{request.name} is a table of the lake and stays.")
        if not await self.executions.drop_table(owner.tenant, request.name.lower()):
            raise WireError(NOT_FOUND, f"Entity Not Found: table {request.name}")
        return {}

    async def _tables(self, call: Call, database: str, expression: str | None) -> list[dict[str, Any]]:
        owner, _ = self.owner(await self.tenants(call), database)
        try:
            pattern = re.compile((expression or "").replace("*", ".*").replace("..*", ".*"))
        except re.error as error:
            raise WireError("InvalidInputException", f"Expression is not a pattern: {error}.") from None
        columns = await self.runner.columns()
        return [self._shown(owner, database, view, columns[view]) for view in VIEWS if pattern.search(view)]

    async def _table(self, call: Call, database: str, name: str) -> dict[str, Any] | None:
        owner, _ = self.owner(await self.tenants(call), database)
        if name.lower() in VIEWS:
            columns = (await self.runner.columns())[name.lower()]
            return self._shown(owner, database, name.lower(), columns)
        made = await self.executions.table(owner.tenant, name.lower())
        return (
            None
            if made is None
            else _glue_table(owner, database, name.lower(), made["columns"], made["place"])
        )

    def _shown(
        self, owner: AccountTenant, database: str, view: str, columns: Sequence[Mapping[str, str]]
    ) -> dict[str, Any]:
        table = "orders" if view == "order_items" else view
        place = f"s3://{self.s3.endcap_data_bucket}/{owner.tenant}/lake/{table}" if view in LAKE_VIEWS else ""
        return _glue_table(owner, database, view, columns, place)


def _glue_table(
    owner: AccountTenant, database: str, name: str, columns: Sequence[Mapping[str, str]], place: str
) -> dict[str, Any]:
    return {
        "Name": name,
        "DatabaseName": database,
        "CreateTime": owner.created_at,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet"},
        "PartitionKeys": [],
        "StorageDescriptor": {
            "Columns": [{"Name": each["name"], "Type": glue_type(each["type"])} for each in columns],
            "Location": place,
            "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
            },
        },
    }


def _athena_table(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Name": table["Name"],
        "CreateTime": table["CreateTime"],
        "TableType": table["TableType"],
        "Columns": table["StorageDescriptor"]["Columns"],
        "PartitionKeys": [],
        "Parameters": {"EXTERNAL": "TRUE", "location": table["StorageDescriptor"]["Location"]},
    }
