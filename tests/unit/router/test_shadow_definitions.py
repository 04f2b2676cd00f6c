"""Definitions of shadows: what nobody sees has no metrics."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.router.domain.experiments import Definition

USUAL = {"name": "dark", "surface": "placement/home", "variants": [{"name": "a"}, {"name": "b"}]}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"surface": "recommendations"}, "only placements have shadows"),
        ({"variants": [{"name": "a", "strategy": "popular"}, {"name": "b"}]}, "has a name alone"),
        ({"metrics": [{"name": "m", "event": "click"}]}, "takes no metrics"),
    ],
)
def test_a_definition_says_what_a_shadow_cannot_do(fields: dict[str, Any], message: str) -> None:
    design = {"design": {"kind": "shadow", "share": 0.2}}
    assert Definition.model_validate(USUAL | design).design.kind == "shadow"
    with pytest.raises(ValidationError, match=message):
        Definition.model_validate(USUAL | design | fields)
