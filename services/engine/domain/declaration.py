"""A declaration: the resources of an account in one document, `resources.yaml`.

Its keys are names of resources, and members are named as in Amazon Personalize; those of placements as in the
REST API. Resources that a document leaves out are not changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from shared.errors import Permanent
from shared.events.placements import Placement, PlacementName

Name = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*$")]
Domain = Literal["ECOMMERCE", "VIDEO_ON_DEMAND"]
Kind = Literal["INTERACTIONS", "ITEMS", "USERS"]
Config = dict[str, Any]


class _Declared(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, defer_build=True
    )


class Schema(_Declared):
    """An Avro schema, as a mapping or as the text that CreateSchema takes."""

    avro: Annotated[Config, Field(alias="schema")]
    domain: Domain | None = None

    @field_validator("avro", mode="before")
    @classmethod
    def _parsed(cls, avro: Any) -> Any:
        return json.loads(avro) if isinstance(avro, str) else avro


class Dataset(_Declared):
    """A dataset: its name and the name of its schema."""

    name: Name
    schema_name: Annotated[Name, Field(alias="schema")]


class Campaign(_Declared):
    """A campaign of a solution. It is created with the newest version."""

    min_provisioned_tps: Annotated[int | None, Field(ge=1, alias="minProvisionedTPS")] = None
    campaign_config: Config | None = None


class Solution(_Declared):
    """A recipe with its configuration.

    `solutionConfig.autoTrainingConfig` is the schedule of its training.
    """

    recipe: str
    event_type: str | None = None
    perform_auto_training: bool | None = None
    perform_incremental_update: bool | None = None
    solution_config: Config | None = None
    campaigns: dict[Name, Campaign] = Field(default_factory=dict)


class Recommender(_Declared):
    """A recipe of the ECOMMERCE domain, trained and deployed as one resource."""

    recipe: str
    recommender_config: Config | None = None


class Group(_Declared):
    """A dataset group with its resources."""

    domain: Domain | None = None
    datasets: dict[Kind, Dataset] = Field(default_factory=dict)
    event_tracker: Name | None = None
    filters: dict[Name, str] = Field(default_factory=dict)
    solutions: dict[Name, Solution] = Field(default_factory=dict)
    recommenders: dict[Name, Recommender] = Field(default_factory=dict)
    placements: dict[PlacementName, Config] = Field(default_factory=dict)
    experiments: dict[Name, Config] = Field(default_factory=dict)
    """They belong to the router, whose command `experiments apply` reads them from the same file."""
    schedules: dict[Name, Config] = Field(default_factory=dict)
    """They belong to the trainer, whose command `schedules apply` reads them from the same file."""

    @field_validator("placements")
    @classmethod
    def _valid_placements(cls, placements: dict[str, Config]) -> dict[str, Config]:
        """Return the definitions in the form in which they are stored, so that equal ones compare equal."""
        return {name: _stored_definition(name, definition) for name, definition in placements.items()}


def _stored_definition(name: str, definition: Config) -> Config:
    try:
        placement = Placement.model_validate(definition, extra="forbid")
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ValueError(f"{name}: {'; '.join(problems)}") from None
    return placement.model_dump(mode="json", exclude_defaults=True)


class Declaration(_Declared):
    """The entire document."""

    version: Literal[1] = 1
    schemas: dict[Name, Schema] = Field(default_factory=dict)
    dataset_groups: dict[Name, Group] = Field(default_factory=dict)

    @classmethod
    def parse(cls, document: Any) -> Declaration:
        """Return the declaration in a document; raise Permanent with the path of every invalid member."""
        try:
            return cls.model_validate(document if document is not None else {})
        except ValidationError as error:
            problems = [
                f"  {'.'.join(map(str, problem['loc'])) or 'the document'}: {problem['msg']}"
                for problem in error.errors()
            ]
            raise Permanent("\n".join(["The file is not a declaration of resources:", *problems])) from None

    def to_document(self) -> dict[str, Any]:
        """Return the declaration as a document, without empty members."""
        full: dict[str, Any] = _without_empty(self.model_dump(mode="json", by_alias=True, exclude_none=True))
        return full

    def restricted_to(self, group: str) -> Declaration:
        """Return one dataset group with the schemas that it uses; raise Permanent if there is none."""
        declared = self.dataset_groups.get(group)
        if declared is None:
            raise Permanent(
                f"There is no dataset group {group!r}; there are: {', '.join(self.dataset_groups)}."
            )
        used = {dataset.schema_name for dataset in declared.datasets.values()}
        schemas = {name: schema for name, schema in self.schemas.items() if name in used}
        return Declaration(schemas=schemas, dataset_groups={group: declared})


_BY_NAME = frozenset({"datasetGroups", "campaigns", "placements"})
"""Members that map names to resources, of which some may be empty."""


def _without_empty(value: Any) -> Any:
    """Return a value without empty mappings, except for empty dataset groups and campaigns."""
    if not isinstance(value, Mapping):
        return value
    members = {
        name: _members_without_empty(member) if name in _BY_NAME else _without_empty(member)
        for name, member in value.items()
    }
    return {name: member for name, member in members.items() if member != {}}


def _members_without_empty(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _without_empty(member) for name, member in value.items()}
