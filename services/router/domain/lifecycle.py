"""The states of an experiment, and which change leads from which to which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from shared.errors import ApiError
from shared.experiments import Experiment, Status

Change = Literal["start", "pause", "stop", "decide", "archive"]


class Transition(NamedTuple):
    """The states in which a change is possible, and the state to which it leads."""

    before: frozenset[Status]
    after: Status


TRANSITIONS: Final[Mapping[Change, Transition]] = {
    "start": Transition(frozenset({"draft", "paused"}), "running"),
    "pause": Transition(frozenset({"running"}), "paused"),
    "stop": Transition(frozenset({"running", "paused"}), "stopped"),
    "decide": Transition(frozenset({"running", "paused", "stopped"}), "decided"),
    "archive": Transition(frozenset({"stopped", "decided"}), "archived"),
}
_ADVICE: Final[Mapping[Status, str]] = {
    "draft": "start it first",
    "running": "stop it first",
    "paused": "start it again, or stop it",
    "stopped": "its counts are closed. Post it again with another salt or traffic, and start that version",
    "decided": "its counts are closed. Post it again with another salt or traffic, and start that version",
    "archived": "its counts are closed. Post it again with another salt or traffic, and start that version",
}


def state_after(change: Change, version: Experiment) -> Status | None:
    """Return the state to which a change leads; None if the version is there already.

    Raise ApiError (409) for a change that is not possible in the version's state.
    """
    transition = TRANSITIONS[change]
    if version.status in transition.before:
        return transition.after
    if version.status == transition.after:
        return None
    code = {"stopped": "Stopped", "draft": "NotStarted"}.get(version.status, "WrongState")
    detail = (
        f"Version {version.version} of {version.name} is {version.status}, so {change} is not possible: "
        f"{_ADVICE[version.status]}."
    )
    raise ApiError(409, code, detail)
