"""The resources of an account, read and changed through the Personalize API of Endcap or of Amazon."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from services.engine.domain.declaration import (
    Campaign,
    Dataset,
    Declaration,
    Group,
    Recommender,
    Schema,
    Solution,
)
from services.engine.domain.plan_members import RECIPE_PREFIX
from services.engine.domain.steps import PUT_PLACEMENT, AccountState, ResourceRef, Step
from services.engine.store.placement_api import PlacementApi
from shared.errors import Permanent, Transient

Description = dict[str, Any]
Print = Callable[[str], None]

_ACTIVE = "ACTIVE"
_FAILED = ("CREATE FAILED", "CREATE STOPPED")
_WITHOUT_STATUS = frozenset({"schema"})
"""Kinds of resources without a status, which exist as soon as they are created."""
_SERVER_ERROR = 500


class PersonalizeAccount:
    """The resources of one account.

    A call that is refused raises Permanent, and a service that cannot be reached Transient.
    """

    def __init__(self, *, poll_seconds: float = 0.5, within_seconds: float = 4 * 3600) -> None:
        """Take the endpoint, the region and the keys from the environment, as any AWS client does."""
        self._client: Any = boto3.client("personalize", config=Config(retries={"mode": "standard"}))
        self._placements = PlacementApi(self._client)
        self._poll_seconds = poll_seconds
        self._within_seconds = within_seconds
        self._arns: dict[tuple[str, str], str] = {}

    def state(self) -> AccountState:
        """Return the state of the account."""
        try:
            return self._state()
        except (ClientError, BotoCoreError) as error:
            raise _readable(error, "the resources can't be read") from None

    def take(self, step: Step, report: Print) -> None:
        """Make one change, and wait until its resource is ACTIVE. `report` prints progress."""
        description = f"{step.sign} {step.kind} {step.name}"
        try:
            for operation, arguments in step.calls:
                if operation == PUT_PLACEMENT:
                    self._placements.put(**arguments)
                    continue
                answer = self._call(operation, arguments)
            if step.makes is not None:
                self._remember_arn(step.makes, answer)
                self._until_active(step, report)
        except (ClientError, BotoCoreError) as error:
            raise _readable(error, description) from None

    def _call(self, operation: str, arguments: Mapping[str, Any]) -> Description:
        resolved = {name: self._resolved(name, value) for name, value in arguments.items()}
        deadline = time.monotonic() + self._within_seconds
        while True:
            try:
                answer: Description = getattr(self._client, operation)(**resolved)
            except ClientError as error:
                # The name of a filter that was just deleted is taken for a moment.
                is_taken = error.response["Error"]["Code"] == "ResourceAlreadyExistsException"
                if not (is_taken and operation == "create_filter") or time.monotonic() > deadline:
                    raise
                time.sleep(self._poll_seconds)
            else:
                return answer

    def _resolved(self, name: str, value: Any) -> Any:
        if isinstance(value, ResourceRef):
            arn = self._arns.get((value.kind, value.name))
            if arn is None:
                raise Permanent(f"There is no {value.kind} {value.name}, and the file does not make one.")
            return arn + value.suffix
        return json.dumps(value) if name == "schema" else value

    def _remember_arn(self, ref: ResourceRef, answer: Mapping[str, Any]) -> None:
        arns = [value for name, value in answer.items() if name.endswith("Arn")]
        if arns:
            self._arns[ref.kind, ref.name] = arns[0]

    def _until_active(self, step: Step, report: Print) -> None:
        ref = step.makes
        if ref is None or ref.kind in _WITHOUT_STATUS:
            return
        arn = self._arns[ref.kind, ref.name]
        deadline = time.monotonic() + self._within_seconds
        reported = ""
        while True:
            described = self._described(ref.kind, arn)
            status = _newest_status(described)
            if status == _ACTIVE:
                return
            if "FAILED" in status or status in _FAILED:
                reason = described.get("failureReason", "no reason was given")
                raise Permanent(f"The {ref.kind} {ref.name} is {status}: {reason}")
            if status != reported:
                report(f"  {ref.kind} {ref.name}: {status}")
                reported = status
            if time.monotonic() > deadline:
                raise Transient(f"The {ref.kind} {ref.name} is still {status}; apply the file again later.")
            time.sleep(self._poll_seconds)

    def _described(self, kind: str, arn: str) -> Description:
        words = kind.title().replace(" ", "")
        member = words[0].lower() + words[1:]
        describe = getattr(self._client, f"describe_{kind.replace(' ', '_')}")
        description: Description = describe(**{f"{member}Arn": arn})[member]
        return description

    def _state(self) -> AccountState:
        failed: dict[tuple[str, str], str] = {}
        trained: set[str] = set()
        schemas = {}
        for entry in self._list("list_schemas"):
            described = self._describe_named("schema", entry["name"], entry["schemaArn"])
            schemas[entry["name"]] = Schema(
                avro=json.loads(described["schema"]), domain=described.get("domain")
            )
        groups = {}
        for entry in self._list("list_dataset_groups"):
            if self._is_usable("dataset group", entry["name"], entry, "datasetGroupArn", failed):
                groups[entry["name"]] = self._group(entry, failed, trained)
        declaration = Declaration(schemas=schemas, dataset_groups=groups)
        return AccountState(declaration, failed, frozenset(trained), self._placements.exist)

    def _group(self, group: Description, failed: dict[tuple[str, str], str], trained: set[str]) -> Group:
        name, arn = group["name"], group["datasetGroupArn"]
        datasets = {}
        for entry in self._list("list_datasets", datasetGroupArn=arn):
            kind = entry["datasetType"]
            if self._is_usable("dataset", f"{name}/{kind}", entry, "datasetArn", failed):
                schema = self._described("dataset", entry["datasetArn"])["schemaArn"]
                datasets[kind] = Dataset(name=entry["name"], schema_name=schema.rpartition("/")[2])
        trackers = [
            entry["name"]
            for entry in self._list("list_event_trackers", datasetGroupArn=arn)
            if self._is_usable("event tracker", entry["name"], entry, "eventTrackerArn", failed)
        ]
        filters = {
            entry["name"]: self._described("filter", entry["filterArn"])["filterExpression"]
            for entry in self._list("list_filters", datasetGroupArn=arn)
            if self._is_usable("filter", entry["name"], entry, "filterArn", failed)
        }
        solutions = {
            entry["name"]: self._solution(entry, failed, trained)
            for entry in self._list("list_solutions", datasetGroupArn=arn)
            if self._is_usable("solution", entry["name"], entry, "solutionArn", failed)
        }
        # Only dataset groups with a domain have recommenders.
        listed_recommenders = (
            self._list("list_recommenders", datasetGroupArn=arn) if group.get("domain") else ()
        )
        recommenders = {
            entry["name"]: _recommender(entry)
            for entry in listed_recommenders
            if self._is_usable("recommender", entry["name"], entry, "recommenderArn", failed)
        }
        return Group(
            domain=group.get("domain"),
            datasets=datasets,
            event_tracker=next(iter(trackers), None),
            filters=filters,
            solutions=solutions,
            recommenders=recommenders,
            placements=self._placements.of_group(name),
        )

    def _solution(
        self, solution: Description, failed: dict[tuple[str, str], str], trained: set[str]
    ) -> Solution:
        name, arn = solution["name"], solution["solutionArn"]
        described = self._described("solution", arn)
        versions = self._list("list_solution_versions", solutionArn=arn)
        if any(version["status"] == _ACTIVE for version in versions):
            trained.add(name)
        campaigns = {}
        for entry in self._list("list_campaigns", solutionArn=arn):
            if self._is_usable("campaign", entry["name"], entry, "campaignArn", failed):
                deployed = self._described("campaign", entry["campaignArn"])
                campaigns[entry["name"]] = Campaign(
                    min_provisioned_tps=deployed.get("minProvisionedTPS"),
                    campaign_config=deployed.get("campaignConfig"),
                )
        return Solution(
            recipe=described["recipeArn"].removeprefix(RECIPE_PREFIX),
            event_type=described.get("eventType"),
            perform_auto_training=described.get("performAutoTraining"),
            perform_incremental_update=described.get("performIncrementalUpdate"),
            solution_config=described.get("solutionConfig"),
            campaigns=campaigns,
        )

    def _describe_named(self, kind: str, name: str, arn: str) -> Description:
        self._arns[kind, name] = arn
        return self._described(kind, arn)

    def _is_usable(
        self, kind: str, name: str, entry: Description, member: str, failed: dict[tuple[str, str], str]
    ) -> bool:
        """Remember the ARN of a resource; return whether it is usable: neither failed nor being deleted."""
        self._arns[kind, name] = entry[member]
        status = str(entry.get("status", _ACTIVE))
        if status in _FAILED:
            failed[kind, name] = str(entry.get("failureReason", status))
        return status not in _FAILED and not status.startswith("DELETE")

    def _list(self, operation: str, **arguments: Any) -> Iterator[Description]:
        for page in self._client.get_paginator(operation).paginate(**arguments):
            [entries] = [value for name, value in page.items() if isinstance(value, list)]
            yield from entries


def _recommender(entry: Description) -> Recommender:
    recipe = entry["recipeArn"].removeprefix(RECIPE_PREFIX)
    return Recommender(recipe=recipe, recommender_config=entry.get("recommenderConfig"))


def _newest_status(described: Description) -> str:
    """Return the status of a resource, or that of an update that is not ACTIVE yet."""
    updates = [
        value for name, value in described.items() if name.startswith("latest") and name.endswith("Update")
    ]
    status = updates[0].get("status", _ACTIVE) if updates and updates[0] else _ACTIVE
    return str(described["status"] if status == _ACTIVE else status)


def _readable(error: ClientError | BotoCoreError, description: str) -> Permanent | Transient:
    if isinstance(error, ClientError):
        problem = error.response["Error"]
        sentence = f"{description}: {problem.get('Message') or problem['Code']}"
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return Transient(sentence) if status >= _SERVER_ERROR else Permanent(sentence)
    return Transient(f"{description}: {error}")
