"""The requests of Athena and Glue, whose members begin with a capital."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_pascal

from services.analytics.domain.sql import MAX_CHARACTERS
from shared.aws import WireModel
from shared.events.values import Text

MAX_RESULTS: Final = 1_000

Name = Annotated[Text, StringConstraints(min_length=1, max_length=256)]
Token = Annotated[Text, StringConstraints(max_length=2048)]
Id = Annotated[Text, StringConstraints(min_length=1, max_length=128)]


class AthenaModel(WireModel):
    """A request, or a part of one."""

    model_config = ConfigDict(alias_generator=to_pascal)


class QueryExecutionContext(AthenaModel):
    """The database and the catalog of names without them."""

    database: Name | None = None
    catalog: Name | None = None


class ResultConfiguration(AthenaModel):
    """The place of the result's file."""

    output_location: Annotated[Text, StringConstraints(max_length=1024)] | None = None


class StartQueryExecution(AthenaModel):
    """The request of StartQueryExecution."""

    query_string: Annotated[Text, StringConstraints(min_length=1, max_length=MAX_CHARACTERS)]
    client_request_token: Annotated[Text, StringConstraints(min_length=1, max_length=128)] | None = None
    query_execution_context: QueryExecutionContext = QueryExecutionContext()
    result_configuration: ResultConfiguration = ResultConfiguration()
    work_group: Name | None = None
    execution_parameters: list[Text] = Field(default_factory=list, max_length=100)


class OfQuery(AthenaModel):
    """A request about an execution."""

    query_execution_id: Id


class GetQueryResults(OfQuery):
    """The request of GetQueryResults."""

    max_results: int = Field(MAX_RESULTS, ge=1, le=MAX_RESULTS)
    next_token: Token | None = None


class BatchGetQueryExecution(AthenaModel):
    """The request of BatchGetQueryExecution."""

    query_execution_ids: list[Id] = Field(min_length=1, max_length=50)


class ListQueryExecutions(AthenaModel):
    """The request of ListQueryExecutions."""

    max_results: int = Field(50, ge=0, le=50)
    next_token: Token | None = None
    work_group: Name | None = None


class OfWorkGroup(AthenaModel):
    """A request about a workgroup."""

    work_group: Name


class Listing(AthenaModel):
    """A request for a list that fits into one page."""


class OfCatalog(AthenaModel):
    """A request about a catalog."""

    name: Name = "AwsDataCatalog"


class OfDatabase(AthenaModel):
    """A request about a database of Athena."""

    catalog_name: Name = "AwsDataCatalog"
    database_name: Name


class ListTableMetadata(OfDatabase):
    """The request of ListTableMetadata."""

    expression: Annotated[Text, StringConstraints(max_length=256)] | None = None


class OfTable(OfDatabase):
    """A request about a table of Athena."""

    table_name: Name


class GlueDatabase(AthenaModel):
    """A request about a database of Glue."""

    name: Name


class GlueTables(AthenaModel):
    """A request about the tables of a database of Glue."""

    database_name: Name
    expression: Annotated[Text, StringConstraints(max_length=2048)] | None = None


class GlueTable(AthenaModel):
    """A request about a table of Glue."""

    database_name: Name
    name: Name


class GluePartitions(AthenaModel):
    """A request about the partitions of a table of Glue."""

    database_name: Name
    table_name: Name
