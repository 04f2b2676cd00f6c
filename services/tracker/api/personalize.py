"""The operations of the service `personalize-events` of AWS, for unmodified AWS SDKs."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from pydantic import ValidationError

from services.tracker.api.intake import EVENT_BYTES, Intake
from services.tracker.domain.outcomes import validation_message
from services.tracker.domain.personalize import interactions, item_puts, user_puts
from services.tracker.store import CatalogueQuotas, Datasets, Tenants
from shared.auth import Authenticator
from shared.aws import Arn, WireError, WireModel, invalid_input, not_found
from shared.aws.personalize.events import PutEventsRequest, PutItemsRequest, PutUsersRequest
from shared.aws_server import Call, Operation, RestJson
from shared.aws_server.operations import declined
from shared.events.topics import PUTS
from shared.rates import TokenBuckets


class PersonalizeEvents:
    """PutEvents, PutItems, PutUsers."""

    def __init__(
        self,
        intake: Intake,
        tenants: Tenants,
        datasets: Datasets,
        quotas: CatalogueQuotas,
        max_calls_per_second: float | None,
    ) -> None:
        self._intake = intake
        self._tenants = tenants
        self._datasets = datasets
        self._quotas = quotas
        self._rates = TokenBuckets(max_calls_per_second or 0.0)

    async def put_events(self, call: Call, request: PutEventsRequest) -> None:
        """Record events under the tenant of the event tracker; return once they are in the log.

        Raises WireError: InvalidInputException for an unknown tracker or an invalid event,
        ThrottlingException beyond the tenant's rate. Raises ApiError 503 when Kafka does not confirm.
        """
        tenant = await self._tenants.of_tracking_id(request.tracking_id, call.principal)
        if tenant is None:
            raise invalid_input(f"The tracking id {request.tracking_id} has no active event tracker.")
        if self._rates.wait_seconds(tenant, time.monotonic()):
            message = f"Rate exceeded: at most {self._rates.per_second:g} calls of PutEvents per second."
            raise WireError("ThrottlingException", message)
        context = await self._intake.context(tenant)
        try:
            events = [context.marked(event, None) for event in interactions(request, context)]
        except ValidationError as error:
            raise invalid_input(validation_message(error)) from None
        await self._intake.accept(events, "personalize", len(events) * EVENT_BYTES)

    async def put_items(self, call: Call, request: PutItemsRequest) -> None:
        """Publish records of the Items dataset; sync merges them into the catalogue."""
        context = await self._intake.context(await self._tenant(call, request.dataset_arn, "ITEMS"))
        read = partial(item_puts, request, context, call.invocation_id)
        puts = await self._datasets.with_schema(context.tenant, "item", request.dataset_arn, read)
        await self._quotas.check(context.tenant, "item", [put.item_id for put in puts])
        await self._intake.publish(PUTS, puts, "puts", len(puts) * EVENT_BYTES)

    async def put_users(self, call: Call, request: PutUsersRequest) -> None:
        """Publish records of the Users dataset; sync merges them into the catalogue."""
        context = await self._intake.context(await self._tenant(call, request.dataset_arn, "USERS"))
        read = partial(user_puts, request, context, call.invocation_id)
        puts = await self._datasets.with_schema(context.tenant, "user", request.dataset_arn, read)
        await self._quotas.check(context.tenant, "user", [put.user_id for put in puts])
        await self._intake.publish(PUTS, puts, "puts", len(puts) * EVENT_BYTES)

    async def _tenant(self, call: Call, dataset_arn: str, dataset_type: str) -> str:
        arn = Arn.parse(dataset_arn, "dataset")
        if arn.steps[1:] != (dataset_type,):
            raise invalid_input(f"{dataset_arn} is not the ARN of a dataset of type {dataset_type}.")
        tenant = await self._tenants.of_dataset(arn, call.principal)
        if tenant is None:
            raise not_found(f"There is no dataset with the ARN {dataset_arn}.")
        return tenant


def personalize_operations(
    intake: Intake,
    tenants: Tenants,
    datasets: Datasets,
    quotas: CatalogueQuotas,
    authenticator: Authenticator,
    max_calls_per_second: float | None = None,
) -> RestJson:
    """Return the operations of the client `personalize-events`."""
    events = PersonalizeEvents(intake, tenants, datasets, quotas, max_calls_per_second)
    operations: dict[str, Operation[Any]] = {
        "/events": Operation("PutEvents", PutEventsRequest, "ingest", events.put_events),
        "/items": Operation("PutItems", PutItemsRequest, "catalogue", events.put_items),
        "/users": Operation("PutUsers", PutUsersRequest, "catalogue", events.put_users),
        "/actions": declined("PutActions", WireModel),
        "/action-interactions": declined("PutActionInteractions", WireModel),
    }
    return RestJson(authenticator, operations)
