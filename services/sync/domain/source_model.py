"""The base of the configurations of all kinds of sources, and their secrets."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.events.values import Text

SECRET_BYTES = 4_096
"""Characters of a secret; arbitrary."""

SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Secrets: TypeAlias = dict[
    Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")],
    Annotated[Text, StringConstraints(min_length=1, max_length=SECRET_BYTES)],
]
"""Secrets by their names. They are stored encrypted, and no answer contains them."""


class Model(BaseModel):
    """A part of a source's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")
