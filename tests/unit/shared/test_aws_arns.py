"""ARNs and page tokens."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aws import Arn, PageTokens, WireError
from tests.unit.shared.aws_routes import ARN


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        (ARN, "campaign", "home"),
        ("arn:aws-cn:personalize:cn-north-1:000000000000:dataset/shop/ITEMS", "dataset", "shop/ITEMS"),
        ("arn:aws:personalize:::recipe/aws-sims", "recipe", "aws-sims"),
        ("arn:aws:personalize:eu:1:solution/s/0a1b2c3d", "solution", "s/0a1b2c3d"),
    ],
)
def test_an_arn_of_any_account_is_read(text: str, kind: str, path: str) -> None:
    arn = Arn.parse(text)

    assert (arn.kind, arn.path, arn.name) == (kind, path, path.split("/", maxsplit=1)[0])
    assert str(arn) == text.replace("aws-cn", "aws")


@pytest.mark.parametrize("text", ["", "nope", "arn:aws:s3:::bucket", "arn:aws:personalize:a:b:campaign/"])
def test_what_is_no_arn_is_invalid_input(text: str) -> None:
    with pytest.raises(WireError, match="Invalid ARN"):
        Arn.parse(text)


def test_an_arn_of_another_kind_is_refused() -> None:
    with pytest.raises(WireError, match="expected a dataset"):
        Arn.parse(ARN, "dataset")


@given(st.recursive(st.none() | st.integers(-(2**53), 2**53) | st.text("aé/", max_size=9), st.lists))
def test_a_page_token_comes_back_as_it_was(cursor: Any) -> None:
    tokens = PageTokens("secret")

    assert PageTokens("secret").read("ListSchemas", tokens.issue("ListSchemas", cursor)) == cursor


@pytest.mark.parametrize("change", ["letter", "operation", "secret", "garbage", "unicode", "empty"])
def test_a_page_token_that_was_tampered_with_is_refused(change: str) -> None:
    token = PageTokens("secret").issue("ListSchemas", ["shop", 7])
    reader, operation = PageTokens("secret"), "ListSchemas"
    match change:
        case "letter":
            token = token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:]
        case "operation":
            operation = "ListSolutions"
        case "secret":
            reader = PageTokens("another")
        case "garbage":
            token = "???"
        case "unicode":
            token = "\u2603"
        case _:
            token = ""

    with pytest.raises(WireError) as refused:
        reader.read(operation, token)

    assert refused.value.code == "InvalidNextTokenException"
