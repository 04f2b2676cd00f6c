"""Schemas: they belong to the account, and several datasets may use one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from services.engine.domain import schemas as avro
from services.engine.domain.resources import NewResource, Type
from services.engine.personalize import unsupported
from services.engine.personalize.context import OperationContext, in_use
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
    """A new schema, as the text of an Avro record."""

    name: ResourceName
    avro: Annotated[Text, StringConstraints(max_length=20_000)] = Field(alias="schema")
    domain: Domain | None = None


class SchemaCreated(WireModel):
    """Where it is."""

    schema_arn: str


class SchemaName(WireModel):
    """Which schema."""

    schema_arn: ArnText


class SchemaSummary(View):
    """A schema in a list. It has no status: it never changes."""

    arn_member = "schemaArn"

    name: str
    schema_arn: str
    domain: str | None = None


class Schema(SchemaSummary):
    """A schema with its text, as it was given."""

    avro: str = Field(alias="schema")


class SchemaDescribed(WireModel):
    """The answer to Describe."""

    described: Schema = Field(alias="schema")


class SchemasListed(WireModel):
    """One page."""

    schemas: list[SchemaSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateSchema) -> SchemaCreated:
    """Keep a schema that describes a flat record."""
    if request.domain == "VIDEO_ON_DEMAND":
        raise unsupported.error(unsupported.VIDEO_ON_DEMAND)
    avro.parse(request.avro)
    schema = await context.create(
        NewResource(
            Type.SCHEMA,
            f"{Type.SCHEMA}/{request.name}",
            request.name,
            None,
            {"schema": request.avro} | ({"domain": request.domain} if request.domain else {}),
            facts={"made_by": context.resources.tenant},
        )
    )
    return SchemaCreated(schema_arn=schema.arn)


async def describe(context: OperationContext, request: SchemaName) -> SchemaDescribed:
    """Show a schema."""
    schema = await context.find(request.schema_arn, Type.SCHEMA)
    return SchemaDescribed(described=Schema.of(schema))


async def list_page(context: OperationContext, request: Page) -> SchemasListed:
    """List the account's schemas."""
    shown, token = await context.list_page(request, Type.SCHEMA, SchemaSummary)
    return SchemasListed(schemas=shown, next_token=token)


async def delete(context: OperationContext, request: SchemaName) -> None:
    """Delete a schema that no dataset uses.

    A schema belongs to the account. A key of one tenant deletes those that were made with that tenant's keys.
    """
    schema = await context.find(request.schema_arn, Type.SCHEMA, lock=True)
    tenant = context.resources.tenant
    if tenant is not None and schema.facts.get("made_by") != tenant:
        raise in_use(
            f"The schema {schema.arn} belongs to the account, and other dataset groups may use it; delete it "
            "with an AWS key pair of the account."
        )
    users = await context.resources.count_with_members(Type.DATASET, schemaArn=schema.arn)
    if users:
        raise in_use(f"The schema {schema.arn} is used by {users} dataset(s); delete them first.")
    await context.resources.delete(schema)
