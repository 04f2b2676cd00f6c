"""Athena: queries that run after their request, with their states and results.

https://docs.aws.amazon.com/athena/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from services.analytics.api.athena_catalogue import Catalogue
from services.analytics.api.athena_requests import (
    BatchGetQueryExecution,
    GetQueryResults,
    ListQueryExecutions,
    OfQuery,
    StartQueryExecution,
)
from services.analytics.domain.athena_statements import databases_in, parsed
from services.analytics.domain.athena_values import column, row
from services.analytics.store.query_executions import NewExecution, QueryExecutions
from services.analytics.store.query_executor import QueryExecutor, Task
from services.analytics.store.result_files import ResultFiles
from shared.aws import PageTokens, WireError
from shared.aws.protocols import JSON_11_TYPE
from shared.aws_server import Call, JsonService, Operation
from shared.errors import ApiError

if TYPE_CHECKING:
    from shared.auth import Authenticator
    from shared.aws.accounts import AccountTenant
    from shared.settings import S3Settings

CODES: Final = {
    "InvalidInputException": "InvalidRequestException",
    "InvalidNextTokenException": "InvalidRequestException",
    "ThrottlingException": "TooManyRequestsException",
}
_PLACE: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[^\x00-\x1f]*)?")
_USER_ERROR, _SYSTEM_ERROR = 2, 1
PRIMARY: Final = "primary"


@dataclass(frozen=True, slots=True)
class Athena:
    """The operations on queries. They need the scope `admin`, as every SQL does."""

    catalogue: Catalogue
    executions: QueryExecutions
    executor: QueryExecutor
    authenticator: Authenticator
    tokens: PageTokens
    s3: S3Settings

    def service(self) -> JsonService:
        """Return the service with its operations."""
        operations: tuple[Operation[Any], ...] = (
            Operation("StartQueryExecution", StartQueryExecution, "admin", self.start),
            Operation("StopQueryExecution", OfQuery, "admin", self.stop),
            Operation("GetQueryExecution", OfQuery, "admin", self.get),
            Operation("BatchGetQueryExecution", BatchGetQueryExecution, "admin", self.batch_get),
            Operation("ListQueryExecutions", ListQueryExecutions, "admin", self.list),
            Operation("GetQueryResults", GetQueryResults, "admin", self.results),
            *self.catalogue.athena_operations(),
        )
        return JsonService("AmazonAthena", "athena", JSON_11_TYPE, CODES, operations)

    async def start(self, call: Call, request: StartQueryExecution) -> Mapping[str, Any]:
        """Check a query and start it; the same token with the same query returns the same execution.

        Raises WireError InvalidRequestException for a query that is refused, TooManyRequestsException if too
        many wait.
        """
        context = request.query_execution_context
        text = _with_parameters(request.query_string, request.execution_parameters)
        tenants = await self.catalogue.tenants(call)
        owner, database = self.catalogue.owner(tenants, context.database, databases_in(text))
        try:
            statement = parsed(text, database)
        except ApiError as error:
            raise _refused(error.detail, "MALFORMED_QUERY") from None
        location = self._location(call, request.result_configuration.output_location, owner)
        if statement.kind == "files" and location is None:
            message = "A query that writes files needs a signed request: they are written with its key pair."
            raise _refused(message, "INVALID_INPUT")
        files = await self._files(call) if location is not None else None
        if self.executor.is_busy:
            members = {"Reason": "CONCURRENT_QUERY_LIMIT_EXCEEDED"}
            message = "Too many queries wait; send this one again later."
            raise WireError("TooManyRequestsException", message, members=members)
        identifier, is_new = await self.executions.add(
            NewExecution(
                tenant=owner.tenant,
                query=text,
                statement_type=statement.type,
                substatement=statement.substatement,
                database=context.database or database,
                catalog=context.catalog or "awsdatacatalog",
                workgroup=request.work_group or PRIMARY,
                output_location=location,
                request_token=request.client_request_token,
            )
        )
        if is_new:
            names = [self.catalogue.database(tenants, each) for each in tenants]
            self.executor.submit(Task(identifier, owner.tenant, names, statement, files, location))
        return {"QueryExecutionId": identifier}

    async def stop(self, call: Call, request: OfQuery) -> Mapping[str, Any]:
        """Cancel a query; one that has ended stays as it is."""
        row_of = await self._execution(call, request.query_execution_id)
        await self.executions.cancel([row_of["tenant"]], request.query_execution_id)
        self.executor.cancel(request.query_execution_id)
        return {}

    async def get(self, call: Call, request: OfQuery) -> Mapping[str, Any]:
        """Describe a query: its state, its statistics, the reason if it failed."""
        return {"QueryExecution": _described(await self._execution(call, request.query_execution_id))}

    async def batch_get(self, call: Call, request: BatchGetQueryExecution) -> Mapping[str, Any]:
        """Describe several queries."""
        tenants = [each.tenant for each in await self.catalogue.tenants(call)]
        rows = await self.executions.by_id(tenants, request.query_execution_ids)
        unknown = [each for each in request.query_execution_ids if each not in rows]
        return {
            "QueryExecutions": [_described(each) for each in rows.values()],
            "UnprocessedQueryExecutionIds": [
                {
                    "QueryExecutionId": each,
                    "ErrorCode": "INVALID_INPUT",
                    "ErrorMessage": f"QueryExecution {each} was not found",
                }
                for each in unknown
            ],
        }

    async def list(self, call: Call, request: ListQueryExecutions) -> Mapping[str, Any]:
        """List queries, newest first."""
        tenants = [each.tenant for each in await self.catalogue.tenants(call)]
        after = None
        if request.next_token is not None:
            at, identifier = self.tokens.read("ListQueryExecutions", request.next_token)
            after = datetime.fromisoformat(at), identifier
        limit = request.max_results or 50
        listed = await self.executions.ids(tenants, request.work_group, after, limit + 1)
        answer: dict[str, Any] = {"QueryExecutionIds": [each for each, _ in listed[:limit]]}
        if len(listed) > limit:
            last, at = listed[limit - 1]
            answer["NextToken"] = self.tokens.issue("ListQueryExecutions", [at.isoformat(), last])
        return answer

    async def results(self, call: Call, request: GetQueryResults) -> Mapping[str, Any]:
        """Return a page of a result; the first row of a query's first page has the names of the columns.

        Raises WireError InvalidRequestException for a query that has not succeeded.
        """
        execution = await self._execution(call, request.query_execution_id)
        state = execution["state"]
        if state in {"QUEUED", "RUNNING"}:
            raise _refused(f"Query has not yet finished. Current state: {state}", "INVALID_INPUT")
        if state != "SUCCEEDED":
            message = f"Query did not finish successfully. Final query state: {state}"
            raise _refused(message, "INVALID_QUERY_EXECUTION_STATE")
        columns = execution["columns"]
        has_names = execution["substatement"] == "SELECT"
        begin = 0
        if request.next_token is not None:
            begin = int(self.tokens.read("GetQueryResults", request.next_token))
        place, count = begin, request.max_results
        rows: list[Mapping[str, Any]] = []
        if has_names and request.next_token is None:
            rows.append(row(each["name"] for each in columns))
            count -= 1
        stored = await self.executions.rows(request.query_execution_id, place, count) if count else []
        rows += [row(each) for each in stored]
        end = place + len(stored)
        metadata = {"ColumnInfo": [column(each["name"], each["type"]) for each in columns]}
        answer: dict[str, Any] = {
            "ResultSet": {"Rows": rows, "ResultSetMetadata": metadata},
            "UpdateCount": 0,
        }
        has_rows = execution["manifest"] is None and end < execution["row_count"]
        if has_rows:
            answer["NextToken"] = self.tokens.issue("GetQueryResults", end)
        return answer

    async def _execution(self, call: Call, identifier: str) -> Mapping[str, Any]:
        tenants = [each.tenant for each in await self.catalogue.tenants(call)]
        rows = await self.executions.by_id(tenants, [identifier])
        if identifier not in rows:
            raise _refused(f"QueryExecution {identifier} was not found", "INVALID_INPUT")
        return rows[identifier]

    def _location(self, call: Call, requested: str | None, owner: AccountTenant) -> str | None:
        """Return the place of a caller's files, with a slash at its end; None without a key pair."""
        if call.principal.kind != "sigv4" or not call.principal.credential:
            return None
        if not requested:
            return f"s3://{self.s3.endcap_uploads_bucket}/{owner.tenant}/athena-results/"
        if _PLACE.fullmatch(requested) is None:
            raise _refused(f"outputLocation is not a valid S3 path: {requested[:200]}", "INVALID_INPUT")
        return f"{requested.rstrip('/')}/"

    async def _files(self, call: Call) -> ResultFiles:
        pair = await self.authenticator.key_pair(call.principal.credential)
        return ResultFiles.of(pair, self.s3)


def _described(execution: Mapping[str, Any]) -> dict[str, Any]:
    """Return a QueryExecution. Bytes that were read are not counted, so they are 0."""
    state, seconds = execution["state"], execution["seconds"]
    status: dict[str, Any] = {"State": state, "SubmissionDateTime": execution["submitted_at"]}
    if execution["completed_at"] is not None:
        status["CompletionDateTime"] = execution["completed_at"]
    if execution["reason"] is not None:
        status["StateChangeReason"] = execution["reason"]
    if state == "FAILED":
        status["AthenaError"] = {
            "ErrorCategory": _SYSTEM_ERROR if execution["is_system_error"] else _USER_ERROR,
            "ErrorType": 1 if execution["is_system_error"] else 1006,
            "Retryable": execution["is_system_error"],
            "ErrorMessage": execution["reason"],
        }
    milliseconds = int((seconds or 0.0) * 1000)
    statistics = {
        "EngineExecutionTimeInMillis": milliseconds,
        "TotalExecutionTimeInMillis": milliseconds,
        "DataScannedInBytes": 0,
        "DataManifestLocation": execution["manifest"],
    }
    return {
        "QueryExecutionId": str(execution["id"]),
        "Query": execution["query"],
        "StatementType": execution["statement_type"],
        "SubstatementType": execution["substatement"],
        "QueryExecutionContext": {"Database": execution["database"], "Catalog": execution["catalog"]},
        "ResultConfiguration": _result_configuration(execution),
        "Status": status,
        "Statistics": {name: value for name, value in statistics.items() if value is not None},
        "WorkGroup": execution["workgroup"],
        "EngineVersion": {
            "SelectedEngineVersion": "AUTO",
            "EffectiveEngineVersion": "Athena engine version 3",
        },
    }


def _result_configuration(execution: Mapping[str, Any]) -> dict[str, str]:
    location = execution["output_location"]
    if location is None:
        return {}
    if execution["substatement"] in {"CREATE_TABLE_AS_SELECT", "UNLOAD"}:
        return {"OutputLocation": f"{location}tables/{execution['id']}"}
    suffix = "csv" if execution["substatement"] == "SELECT" else "txt"
    return {"OutputLocation": f"{location}{execution['id']}.{suffix}"}


def _with_parameters(text: str, parameters: Sequence[str]) -> str:
    """Return a query with its parameters in place of the question marks outside of quotation marks.

    Raises WireError InvalidRequestException if the numbers differ.
    """
    if not parameters:
        return text
    parts = re.split(r"('(?:[^']|'')*'|\"[^\"]*\"|\?)", text)
    if parts.count("?") != len(parameters):
        message = f"The query has {parts.count('?')} parameters and ExecutionParameters {len(parameters)}."
        raise _refused(message, "INVALID_INPUT")
    values = iter(parameters)
    return "".join(next(values) if part == "?" else part for part in parts)


def _refused(message: str, code: str) -> WireError:
    members = {"AthenaErrorCode": code, "Message": message}
    return WireError("InvalidRequestException", message, members=members)
