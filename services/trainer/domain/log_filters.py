"""Filter patterns of CloudWatch Logs for plain text: terms, phrases, `-excluded` and `?optional` ones.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shared.aws import WireError

_TERM: Final = re.compile(r'\s*(?P<sign>[-?]?)(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"]+))')


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Terms, compared with case: all of `required`, none of `excluded`, one of `optional` if any."""

    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def matches(self, message: str) -> bool:
        """Return whether a message fits."""
        return (
            all(term in message for term in self.required)
            and not any(term in message for term in self.excluded)
            and (not self.optional or any(term in message for term in self.optional))
        )


def parse_filter(pattern: str) -> LogFilter:
    """Return the filter of a pattern.

    Raises WireError InvalidParameterException for patterns of JSON, columns or regular expressions.
    """
    text = pattern.strip()
    if text.startswith(("{", "[", "%")):
        message = (
            'Messages here are plain text: use terms and phrases, such as ERROR or "run 7", with - to '
            "exclude one and ? for alternatives."
        )
        raise WireError("InvalidParameterException", message)
    terms: dict[str, list[str]] = {"": [], "-": [], "?": []}
    place = 0
    while place < len(text):
        match = _TERM.match(text, place)
        if match is None:
            raise WireError(
                "InvalidParameterException", "filterPattern has a quotation mark without its pair."
            )
        phrase = match["phrase"]
        term = match["word"] if phrase is None else re.sub(r"\\(.)", r"\1", phrase)
        if term:
            terms[match["sign"]].append(term)
        place = match.end()
    return LogFilter(tuple(terms[""]), tuple(terms["-"]), tuple(terms["?"]))
