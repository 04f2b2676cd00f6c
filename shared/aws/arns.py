"""Amazon Resource Names of Personalize, parsed whatever their account and region."""

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

    Only kind and path identify a resource: an ARN that was copied from AWS names the resource of the same
    name here, whatever its account and region.
    """

    kind: str
    path: str
    region: str = ""
    account: str = ""

    @classmethod
    def parse(cls, text: str, *kinds: str) -> Arn:
        """Parse an ARN of one of `kinds`, or of any kind if there are none.

        Raises WireError InvalidInputException otherwise.
        """
        match = _ARN.fullmatch(text)
        if match is None:
            raise _invalid(text, "it does not look like arn:aws:personalize:…")
        if kinds and match["kind"] not in kinds:
            raise _invalid(text, f"expected a {' or '.join(kinds)}")
        return cls(match["kind"], match["path"], match["region"], match["account"])

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the parts of the path: for a solution version its solution and its id."""
        return tuple(self.path.split("/"))

    @property
    def name(self) -> str:
        """Return the first part of the path: the name of the resource, or of the one that it belongs to."""
        return self.steps[0]

    def __str__(self) -> str:
        return f"arn:aws:personalize:{self.region}:{self.account}:{self.kind}/{self.path}"


def _invalid(text: str, why: str) -> WireError:
    return invalid_input(f"Invalid ARN {text[:256]!r}: {why}.")
