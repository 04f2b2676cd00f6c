"""Calls that the control plane refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

NOBODY = "arn:aws:personalize:eu-west-1:000000000000"


def refused(code: str, call: Callable[..., Any], **arguments: Any) -> str:
    """The message of a call that is refused with this code and HTTP 400, at the first attempt."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["Error"]["Code"] == code
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["ResponseMetadata"]["RetryAttempts"] == 0
    return str(answer["Error"]["Message"])
