"""The requests of Step Functions."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from services.trainer.domain.executions import MAX_CAUSE_CHARACTERS, MAX_ERROR_CHARACTERS
from shared.aws.members import WireModel
from shared.events.values import Text

MAX_INPUT_BYTES: Final = 262_144
_MAX_PAGE: Final = 1_000

Arn = Annotated[Text, StringConstraints(min_length=1, max_length=256)]
Token = Annotated[Text, StringConstraints(max_length=1024)]
Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]


class Page(WireModel):
    """A request for a page: 0 means the usual number of entries."""

    max_results: int = Field(0, ge=0, le=_MAX_PAGE)
    next_token: Token | None = None


class StartExecution(WireModel):
    """The request of StartExecution."""

    state_machine_arn: Arn
    name: Annotated[Text, StringConstraints(min_length=1, max_length=80)] | None = None
    input: Text = Field("{}", max_length=MAX_INPUT_BYTES)


class ListExecutions(Page):
    """The request of ListExecutions."""

    state_machine_arn: Arn | None = None
    map_run_arn: Arn | None = None
    status_filter: Status | None = None


class OfExecution(WireModel):
    """A request about an execution."""

    execution_arn: Arn


class StopExecution(OfExecution):
    """The request of StopExecution."""

    error: Text | None = Field(None, max_length=MAX_ERROR_CHARACTERS)
    cause: Text | None = Field(None, max_length=MAX_CAUSE_CHARACTERS)


class GetExecutionHistory(OfExecution, Page):
    """The request of GetExecutionHistory."""

    reverse_order: bool = False


class OfMachine(WireModel):
    """A request about a state machine."""

    state_machine_arn: Arn
