"""The dark scheme of the dashboard sets the colours of the light one, and nothing else."""

from __future__ import annotations

import re

from deploy.local.tools import PROJECT

STYLES = PROJECT / "services" / "dashboard" / "static" / "dashboard.css"
LIGHT = ':root:not([data-theme="dark"]), [data-theme="light"]'
DARK = (':root:not([data-theme="light"]):not([data-theme="dark"])', '[data-theme="dark"]')
"""The dark scheme of the system, and the one that a person chose."""

_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_COLOUR = re.compile(r"#[0-9a-f]{3,8}")


def _rules() -> dict[str, dict[str, str]]:
    """Return the declarations of each rule that names a scheme, by its selector."""
    content = re.sub(r"/\*.*?\*/", "", STYLES.read_text(), flags=re.DOTALL)
    rules = {}
    for selector, body in _RULE.findall(content):
        if "data-theme" in selector:
            pairs = (line.partition(":") for line in body.split(";") if line.strip())
            rules[selector.strip()] = {name.strip(): value.strip() for name, _, value in pairs}
    return rules


def test_schemes_differ_only_in_colours() -> None:
    rules = _rules()

    assert rules.keys() == {LIGHT, *DARK}
    assert STYLES.read_text().count("prefers-color-scheme") == 1
    for selector in DARK:
        assert rules[selector].keys() == rules[LIGHT].keys()
    values = [value for rule in rules.values() for value in rule.values()]
    assert [value for value in values if not _COLOUR.fullmatch(value)] == []
