"""Filter patterns of CloudWatch Logs."""

from __future__ import annotations

import pytest

from services.trainer.domain.log_filters import parse_filter
from shared.aws import WireError

MESSAGE = "ERROR run 7 failed: the bucket is gone"


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("", True),
        ("ERROR", True),
        ("error", False),
        ("ERROR gone", True),
        ("ERROR engine", False),
        ('"run 7"', True),
        ('"run 8"', False),
        ("ERROR -bucket", False),
        ("?WARN ?ERROR", True),
        ("?WARN ?INFO", False),
        ('ERROR -"run 8"', True),
    ],
)
def test_terms_fit_as_cloudwatch_reads_them(pattern: str, fits: bool) -> None:  # noqa: FBT001
    assert parse_filter(pattern).matches(MESSAGE) is fits


@pytest.mark.parametrize("pattern", ['{ $.level = "ERROR" }', "[a, b]", "%x%", '"open'])
def test_other_patterns_are_refused_with_what_to_write(pattern: str) -> None:
    with pytest.raises(WireError) as refused:
        parse_filter(pattern)

    assert refused.value.code == "InvalidParameterException"
