"""CloudWatch Logs over what happened to runs and jobs, and CloudWatch, which is Prometheus here.

Any log group holds the same events; a stream is a service: `trainer` or `engine`.
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StringConstraints

from services.trainer.api.aws import Callers
from services.trainer.domain.executions import Place
from services.trainer.domain.log_filters import parse_filter
from services.trainer.store.log_events import EventCursor, LogEvents
from shared.aws import PageTokens, WireError
from shared.aws.members import Timestamp, WireModel, from_epoch
from shared.aws.protocols import JSON_10_TYPE, JSON_11_TYPE
from shared.aws_server import Call, JsonService, Operation
from shared.events.values import Text

CODES: Final = {
    "InvalidInputException": "InvalidParameterException",
    "InvalidNextTokenException": "InvalidParameterException",
}
STREAMS: Final = ("engine", "trainer")
_MAX_EVENTS: Final = 10_000
_SCANNED: Final = 20_000
"""Events that one call looks at, at most; a next token follows. Arbitrary."""

ALARMS: Final = (
    "Endcap has no CloudWatch: metrics are at each service's /metrics for Prometheus, and alarms are rules "
    "in deploy/prometheus/alerts.yml. See docs/from-aws.md."
)


def _from_milliseconds(value: object) -> object:
    return from_epoch(value / 1000) if isinstance(value, int) and not isinstance(value, bool) else value


Milliseconds = Annotated[Timestamp, BeforeValidator(_from_milliseconds)]
Name = Annotated[Text, StringConstraints(min_length=1, max_length=512)]
Token = Annotated[Text, StringConstraints(max_length=2048)]


class DescribeLogGroups(WireModel):
    """The request of DescribeLogGroups."""

    log_group_name_prefix: Name | None = None
    log_group_name_pattern: Text | None = Field(None, max_length=512)


class DescribeLogStreams(WireModel):
    """The request of DescribeLogStreams."""

    log_group_name: Name | None = None
    log_group_identifier: Name | None = None
    log_stream_name_prefix: Name | None = None
    descending: bool = False
    limit: int = Field(50, ge=1, le=50)
    next_token: Token | None = None


class FilterLogEvents(WireModel):
    """The request of FilterLogEvents."""

    log_group_name: Name | None = None
    log_group_identifier: Name | None = None
    log_stream_names: list[Name] | None = Field(None, min_length=1, max_length=100)
    log_stream_name_prefix: Name | None = None
    start_time: Milliseconds | None = None
    end_time: Milliseconds | None = None
    filter_pattern: Text = Field("", max_length=1024)
    limit: int = Field(_MAX_EVENTS, ge=1, le=_MAX_EVENTS)
    next_token: Token | None = None


class GetLogEvents(WireModel):
    """The request of GetLogEvents."""

    log_group_name: Name | None = None
    log_group_identifier: Name | None = None
    log_stream_name: Name
    start_time: Milliseconds | None = None
    end_time: Milliseconds | None = None
    limit: int = Field(_MAX_EVENTS, ge=1, le=_MAX_EVENTS)
    next_token: Token | None = None


class Anything(WireModel):
    """A request that is refused, whatever it holds."""


@dataclass(frozen=True, slots=True)
class Logs:
    """The operations of CloudWatch Logs."""

    callers: Callers
    events: LogEvents
    tokens: PageTokens

    def service(self) -> JsonService:
        """Return the service with its operations."""
        operations = (
            Operation("DescribeLogGroups", DescribeLogGroups, "read", self.groups),
            Operation("DescribeLogStreams", DescribeLogStreams, "read", self.streams),
            Operation("FilterLogEvents", FilterLogEvents, "read", self.filter),
            Operation("GetLogEvents", GetLogEvents, "read", self.get),
        )
        return JsonService("Logs_20140328", "logs", JSON_11_TYPE, CODES, operations)

    async def groups(self, call: Call, request: DescribeLogGroups) -> Mapping[str, Any]:
        """List the log group of this name: any group has the same events."""
        tenants, place = await self.callers.of(call)
        name = request.log_group_name_prefix or "/endcap/workflow"
        group = {
            "logGroupName": name,
            "creationTime": _milliseconds(tenants[0].created_at),
            "arn": f"{_group_arn(place, name)}:*",
            "storedBytes": 0,
        }
        return {"logGroups": [group]}

    async def streams(self, call: Call, request: DescribeLogStreams) -> Mapping[str, Any]:
        """List the streams that have events: one for each service."""
        tenants, place = await self.callers.of(call)
        group = _group(request.log_group_name, request.log_group_identifier)
        rows = await self.events.streams([each.tenant for each in tenants])
        shown = [
            {
                "logStreamName": row["stream"],
                "creationTime": _milliseconds(row["first_at"]),
                "firstEventTimestamp": _milliseconds(row["first_at"]),
                "lastEventTimestamp": _milliseconds(row["last_at"]),
                "lastIngestionTime": _milliseconds(row["last_at"]),
                "arn": f"{_group_arn(place, group)}:log-stream:{row['stream']}",
                "storedBytes": 0,
            }
            for row in sorted(rows, key=lambda row: str(row["stream"]), reverse=request.descending)
            if row["stream"].startswith(request.log_stream_name_prefix or "")
        ]
        return {"logStreams": shown[: request.limit]}

    async def filter(self, call: Call, request: FilterLogEvents) -> Mapping[str, Any]:
        """Return the events that fit a pattern, oldest first."""
        _group(request.log_group_name, request.log_group_identifier)
        prefix = request.log_stream_name_prefix or ""
        streams = [
            name
            for name in STREAMS
            if name.startswith(prefix) and (not request.log_stream_names or name in request.log_stream_names)
        ]
        pattern = parse_filter(request.filter_pattern)
        tenants, _ = await self.callers.of(call)
        after = self._cursor("FilterLogEvents", request.next_token)
        rows = await self.events.page(
            [each.tenant for each in tenants], streams, request.start_time, request.end_time, after, _SCANNED
        )
        events: list[dict[str, Any]] = []
        token: str | None = None
        for row in rows:
            if pattern.matches(row["message"]):
                events.append(_event(row) | {"logStreamName": row["stream"], "eventId": row["id"]})
            if len(events) == request.limit:
                token = self._token("FilterLogEvents", row)
                break
        if token is None and len(rows) == _SCANNED:
            token = self._token("FilterLogEvents", rows[-1])
        searched = [{"logStreamName": name, "searchedCompletely": token is None} for name in streams]
        return {"events": events, "searchedLogStreams": searched, **({"nextToken": token} if token else {})}

    async def get(self, call: Call, request: GetLogEvents) -> Mapping[str, Any]:
        """Return the events of a stream, oldest first.

        Raises WireError ResourceNotFoundException for an unknown stream.
        """
        _group(request.log_group_name, request.log_group_identifier)
        if request.log_stream_name not in STREAMS:
            message = f"The specified log stream does not exist; there are {', '.join(STREAMS)}."
            raise WireError("ResourceNotFoundException", message)
        tenants, _ = await self.callers.of(call)
        after = self._cursor("GetLogEvents", request.next_token)
        rows = await self.events.page(
            [each.tenant for each in tenants],
            [request.log_stream_name],
            request.start_time,
            request.end_time,
            after,
            request.limit,
        )
        token = self._token("GetLogEvents", rows[-1]) if rows else request.next_token
        answer: dict[str, Any] = {"events": [_event(row) for row in rows]}
        return answer | ({"nextForwardToken": token} if token else {})

    def _cursor(self, operation: str, token: str | None) -> EventCursor | None:
        if token is None:
            return None
        at, stream, identifier = self.tokens.read(operation, token)
        return EventCursor(datetime.fromisoformat(at), stream, identifier)

    def _token(self, operation: str, row: Mapping[str, Any]) -> str:
        return self.tokens.issue(operation, [row["at"].isoformat(), row["stream"], row["id"]])


def cloudwatch() -> JsonService:
    """Return CloudWatch: every operation is refused with the files that hold the rules instead."""
    names = ("PutMetricAlarm", "DescribeAlarms", "GetMetricStatistics")
    operations = tuple(Operation(name, Anything, "read", _refuse, declined=ALARMS) for name in names)
    otherwise = Operation("CloudWatch", Anything, "read", _refuse, declined=ALARMS)
    return JsonService("GraniteServiceVersion20100801", "monitoring", JSON_10_TYPE, {}, operations, otherwise)


async def _refuse(_: Call, __: Anything) -> Mapping[str, Any]:
    raise WireError("UnsupportedOperationException", ALARMS)


def _group(name: str | None, identifier: str | None) -> str:
    group = name or identifier
    if group is None:
        raise WireError("InvalidParameterException", "logGroupName is missing; any name will do.")
    return group


def _group_arn(place: Place, group: str) -> str:
    return f"arn:aws:logs:{place.region}:{place.account}:log-group:{group}"


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    at = _milliseconds(row["at"])
    return {"timestamp": at, "message": row["message"], "ingestionTime": at}


def _milliseconds(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1000)
