"""What an account holds, or is to hold, as one document: `resources.yaml`.

Names are the keys, members have Personalize's own spelling. What a file leaves out is not touched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from shared.errors import Permanent

Name = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*$")]
Domain = Literal["ECOMMERCE", "VIDEO_ON_DEMAND"]
Kind = Literal["INTERACTIONS", "ITEMS", "USERS"]
Config = dict[str, Any]


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Schema(_Declared):
    """An Avro schema as a mapping, or as the text that CreateSchema takes."""

    avro: Annotated[Config, Field(alias="schema")]
    domain: Domain | None = None

    @field_validator("avro", mode="before")
    @classmethod
    def _parsed(cls, given: Any) -> Any:
        return json.loads(given) if isinstance(given, str) else given


class Dataset(_Declared):
    """A dataset by its own name and that of its schema."""

    name: Name
    schema_name: Annotated[Name, Field(alias="schema")]


class Campaign(_Declared):
    """A campaign of a solution; it serves the newest version when it is made."""

    min_provisioned_tps: Annotated[int | None, Field(ge=1, alias="minProvisionedTPS")] = None
    campaign_config: Config | None = None


class Solution(_Declared):
    """A recipe with its settings. `solutionConfig.autoTrainingConfig` is the schedule of its training."""

    recipe: str
    event_type: str | None = None
    perform_auto_training: bool | None = None
    perform_incremental_update: bool | None = None
    solution_config: Config | None = None
    campaigns: dict[Name, Campaign] = Field(default_factory=dict)


class Recommender(_Declared):
    """A recipe of the ECOMMERCE domain, trained and deployed by one resource."""

    recipe: str
    recommender_config: Config | None = None


class Group(_Declared):
    """A dataset group with everything in it."""

    domain: Domain | None = None
    datasets: dict[Kind, Dataset] = Field(default_factory=dict)
    event_tracker: Name | None = None
    filters: dict[Name, str] = Field(default_factory=dict)
    solutions: dict[Name, Solution] = Field(default_factory=dict)
    recommenders: dict[Name, Recommender] = Field(default_factory=dict)


class Declaration(_Declared):
    """The whole document."""

    version: Literal[1] = 1
    schemas: dict[Name, Schema] = Field(default_factory=dict)
    dataset_groups: dict[Name, Group] = Field(default_factory=dict)

    @classmethod
    def parse(cls, document: Any) -> Declaration:
        """The document as it was parsed; Permanent names every place that is wrong."""
        try:
            return cls.model_validate(document if document is not None else {})
        except ValidationError as error:
            wrong = [
                f"  {'.'.join(str(step) for step in found['loc']) or 'the document'}: {found['msg']}"
                for found in error.errors()
            ]
            raise Permanent("\n".join(["The file is not a declaration of resources:", *wrong])) from None

    def to_document(self) -> dict[str, Any]:
        """The document as it is written, without what is empty."""
        full: dict[str, Any] = _full(self.model_dump(mode="json", by_alias=True, exclude_none=True))
        return full

    def restricted_to(self, group: str) -> Declaration:
        """One dataset group with the schemas that it uses; Permanent when there is none."""
        found = self.dataset_groups.get(group)
        if found is None:
            raise Permanent(
                f"There is no dataset group {group!r}; there are: {', '.join(self.dataset_groups)}."
            )
        used = {dataset.schema_name for dataset in found.datasets.values()}
        schemas = {name: schema for name, schema in self.schemas.items() if name in used}
        return Declaration(schemas=schemas, dataset_groups={group: found})


def _full(value: Any) -> Any:
    """Without empty mappings, but for a group or campaign that is there with nothing to say."""
    if not isinstance(value, Mapping):
        return value
    named = {"datasetGroups", "campaigns"}
    kept = {name: (_kept(inner) if name in named else _full(inner)) for name, inner in value.items()}
    return {name: inner for name, inner in kept.items() if inner != {}}


def _kept(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _full(inner) for name, inner in named.items()}
