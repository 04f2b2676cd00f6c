"""Schemas. They belong to the account, and several datasets can use the same schema."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from services.engine.domain import schemas as avro
from services.engine.domain import state
from services.engine.domain.resources import ResourceType
from services.engine.personalize import unsupported
from services.engine.personalize.context import NewState, OperationContext, in_use
from services.engine.personalize.members import (
    ArnText,
    Domain,
    Page,
    ResourceName,
    Text,
    View,
    WireModel,
)


class CreateSchema(WireModel):
    """The request of CreateSchema."""

    name: ResourceName
    avro: Annotated[Text, StringConstraints(max_length=20_000)] = Field(alias="schema")
    domain: Domain | None = None


class SchemaCreated(WireModel):
    """The answer to CreateSchema."""

    schema_arn: str


class SchemaName(WireModel):
    """The ARN of a schema, in requests and answers."""

    schema_arn: ArnText


class SchemaSummary(View):
    """The view of a schema in a list."""

    arn_member = "schemaArn"

    name: str
    schema_arn: str
    domain: str | None = None


class Schema(SchemaSummary):
    """The view of a schema in the answer to Describe."""

    avro: str = Field(alias="schema")


class SchemaDescribed(WireModel):
    """The answer to DescribeSchema."""

    described: Schema = Field(alias="schema")


class SchemasListed(WireModel):
    """One page of the answer to ListSchemas."""

    schemas: list[SchemaSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateSchema) -> SchemaCreated:
    """Create a schema, which must describe a flat record.

    Raise shared.errors.Permanent for any other text, and WireError as OperationContext.create does.
    """
    if request.domain == "VIDEO_ON_DEMAND":
        raise unsupported.error(unsupported.VIDEO_ON_DEMAND)
    avro.parse(request.avro)
    schema = await context.create(
        state.Schema,
        NewState(
            f"{ResourceType.SCHEMA}/{request.name}",
            request.name,
            None,
            state.SchemaDocument(avro=request.avro, domain=request.domain),
            state.SchemaFacts(made_by=context.resources.tenant),
        ),
    )
    return SchemaCreated(schema_arn=str(schema.arn))


async def describe(context: OperationContext, request: SchemaName) -> SchemaDescribed:
    """Describe a schema."""
    schema = await context.find(request.schema_arn, state.Schema)
    return SchemaDescribed(described=Schema.of(schema))


async def list_page(context: OperationContext, request: Page) -> SchemasListed:
    """List the schemas of the account."""
    views, token = await context.list_page(request, state.Schema, SchemaSummary)
    return SchemasListed(schemas=views, next_token=token)


async def delete(context: OperationContext, request: SchemaName) -> None:
    """Delete a schema that no dataset uses.

    A schema belongs to the account. A key of one tenant can delete only the schemas made with that tenant's
    keys. Raise WireError (ResourceInUseException) otherwise.
    """
    schema = await context.find(request.schema_arn, state.Schema, lock=True)
    tenant = context.resources.tenant
    if tenant is not None and schema.facts.made_by != tenant:
        raise in_use(
            f"The schema {schema.arn} belongs to the account, and other dataset groups may use it; delete it "
            "with an AWS key pair of the account."
        )
    users = await context.resources.count_with_members(ResourceType.DATASET, schemaArn=str(schema.arn))
    if users:
        raise in_use(f"The schema {schema.arn} is used by {users} dataset(s); delete them first.")
    await context.resources.delete(schema)
