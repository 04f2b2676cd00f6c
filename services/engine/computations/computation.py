"""The declaration of a computation: a function that runs in a child process, its input and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from services.engine.store.objects import ObjectStorage

ReportProgress = Callable[[str, float], None]
"""Takes the name of a step, and the share of the whole computation that is done (0 to 1)."""

Arrow = Any
"""A value of pyarrow: its stubs lose the type of most computed columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a computation: values that JSON can hold."""

    warnings: list[str] = field(default_factory=list)
    """Sentences for the owner of the resource, who sees them with the job."""


SpecT = TypeVar("SpecT")
ResultT = TypeVar("ResultT", bound=Result)


@dataclass(frozen=True, slots=True)
class Computation(Generic[SpecT, ResultT]):
    """A computation; all of it can be pickled, since a child process receives it.

    `run` gets the spec, the object store as the job's tenant may use it, the folder of the attempt for
    temporary files, and a callback for progress.
    """

    name: str
    spec: type[SpecT]
    result: type[ResultT]
    run: Callable[[SpecT, ObjectStorage, Path, ReportProgress], ResultT]
