"""ARNs: read whatever account and region they were copied from, written with ours."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.aws.errors import WireError, invalid_input

_ARN = re.compile(
    r"arn:(?P<partition>[a-z\d-]+):personalize:(?P<region>[^:]*):(?P<account>[^:]*):"
    r"(?P<kind>[a-z][a-z-]*)/(?P<path>.+)"
)


@dataclass(frozen=True, slots=True)
class Arn:
    """`arn:aws:personalize:<region>:<account>:<kind>/<path>`, such as kind `dataset`, path `shop/ITEMS`.

    Only kind and path say what is meant: an ARN that was copied from AWS finds the resource of the same
    name here, whatever its account and region.
    """

    kind: str
    path: str
    region: str = ""
    account: str = ""

    @classmethod
    def parse(cls, text: str, *kinds: str) -> Arn:
        """Read an ARN of one of the kinds (of any, if none is given); InvalidInputException otherwise."""
        match = _ARN.fullmatch(text)
        if match is None:
            raise _invalid(text, "it does not look like arn:aws:personalize:…")
        if kinds and match["kind"] not in kinds:
            raise _invalid(text, f"a {' or '.join(kinds)} was expected")
        return cls(match["kind"], match["path"], match["region"], match["account"])

    @property
    def steps(self) -> tuple[str, ...]:
        """The path in parts: of a solution version its solution and its id."""
        return tuple(self.path.split("/"))

    @property
    def name(self) -> str:
        """The first part of the path: what the resource, or the one it belongs to, is called."""
        return self.steps[0]

    def __str__(self) -> str:
        return f"arn:aws:personalize:{self.region}:{self.account}:{self.kind}/{self.path}"


def _invalid(text: str, why: str) -> WireError:
    return invalid_input(f"Invalid ARN {text[:256]!r}: {why}.")
