"""Known bots by their user agents: https://github.com/monperrus/crawler-user-agents, which is maintained.

An expression of its 1,500 patterns takes 400 µs for a browser's user agent, this a tenth: nearly all patterns
are plain texts, which are found by their first letters, and the rest is one expression.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import Final

from crawleruseragents import CRAWLER_USER_AGENTS_DATA

_NO_BOTS: Final = frozenset({"http-library", "browser-automation"})
"""Tags of programs that a shop itself uses: its servers and apps, and tests in browsers."""

_LETTERS: Final = 4
"""First letters of a text by which it is found; arbitrary, nearly no text is shorter."""

_PUNCTUATION: Final = re.compile(r"\\([^\w\s])")
_PLAIN: Final = re.compile(r"[^\\\[\](){}|?*+^$.]+")

_UNLISTED_BOTS: Final = (
    r"(?<![cC][uU])[bB][oO][tT](?![a-z])|[cC]rawl|[sS]pider|[sS]lurp|[lL]ighthouse|[pP]ingdom|[pP]hantom[jJ][sS]"
    r"|[pP]rerender"
)
"""Names of bots that the list may not have. "Cubot" is a brand of telephones."""


def _texts_and_expressions() -> tuple[dict[str, list[str]], re.Pattern[str]]:
    """Return the plain texts by their first letters, and the other patterns as one expression."""
    texts: dict[str, list[str]] = defaultdict(list)
    expressions = [_UNLISTED_BOTS]
    for entry in CRAWLER_USER_AGENTS_DATA:
        if not _NO_BOTS.isdisjoint(entry.get("tags", ())):
            continue
        pattern: str = entry["pattern"]
        text = _PUNCTUATION.sub(r"\1", pattern)
        is_plain = _PLAIN.fullmatch(_PUNCTUATION.sub("", pattern) or "\\") is not None
        if is_plain and len(text) >= _LETTERS:
            texts[text[:_LETTERS]].append(text)
        else:
            expressions.append(pattern)
    return dict(texts), re.compile("|".join(f"(?:{expression})" for expression in expressions))


_TEXTS, _EXPRESSION = _texts_and_expressions()


@lru_cache(maxsize=8_192)
def is_bot(user_agent: str) -> bool:
    """Return whether a user agent is that of a known bot; those of the last visitors are remembered."""
    for start in range(len(user_agent) - _LETTERS + 1):
        texts = _TEXTS.get(user_agent[start : start + _LETTERS])
        if texts is not None and any(user_agent.startswith(text, start) for text in texts):
            return True
    return _EXPRESSION.search(user_agent) is not None
