"""Query texts: their limits, the words of their errors, and what their selections are compiled to."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from graphql import get_introspection_query

from services.recommender.api.graphql.arguments import InvalidVariables
from services.recommender.api.graphql.documents import MAX_DOCUMENTS, Documents
from services.recommender.api.graphql.endpoint import of_body, of_query_string
from services.recommender.api.graphql.errors import RequestError

LIST = 'getRecommendations(userId: "u")'
ROW = (b'"u"', b'"i"', b"0.5", b"null", b"17")
HOSTILE = {
    "repeated fields": "{{{}{{items{{{}}}}}}}".format(LIST, " itemId" * 400),
    "many repeated fields": "{{{}{{items{{{}}}}}}}".format(LIST, " itemId" * 280),
    "aliases": "{{{}{{items{{{}}}}}}}".format(LIST, "".join(f" a{n}:itemId" for n in range(400))),
    "root fields": "{{{}}}".format(
        "".join(f" getRecommendations(userId:{n}){{nextToken}}" for n in range(20))
    ),
    "nesting": "{a" * 140 + "}" * 140,
    "open braces": "{" * 290,
    "characters": "{" + " " * 8_000 + "}",
    "comments": "#\n" * 3_000,
    "NUL": "{a\0}",
    "an empty selection": f"{{{LIST}{{}}}}",
    "nothing": "",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_text_over_a_limit_is_refused_before_it_is_validated(text: str) -> None:
    began = time.process_time()
    with pytest.raises(RequestError) as refused:
        Documents().get(text)

    assert refused.value.status == 400
    assert refused.value.error_type == "MalformedHttpRequestException"
    assert time.process_time() - began < 0.5


def test_fragments_that_spread_each_other_often_are_expanded_once() -> None:
    spreads = zip("abcde", "bcdef", strict=True)
    fragments = [f"fragment {a} on RecommendationConnection {{{f' ...{b}' * 10}}}" for a, b in spreads]
    last = "fragment f on RecommendationConnection { nextToken }"

    document = Documents().get(" ".join(["{{{}{{{}}}}}".format(LIST, " ...a" * 10), *fragments, last]))

    [field] = document.operation(None).fields or []
    assert field.encode(([ROW], b'"t"')) == b'{"nextToken":"t"}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{ x }",
            "Validation error of type FieldUndefined: Field 'x' in type 'Query' is undefined @ 'x'",
        ),
        (
            f"{{ {LIST} {{ items {{ y }} }} }}",
            (
                "Validation error of type FieldUndefined: Field 'y' in type 'Recommendation' is undefined "
                "@ 'getRecommendations/items/y'"
            ),
        ),
        (f"{{ {LIST} }}", "Validation error of type SubSelectionRequired: "),
        ("{ getRecommendations { nextToken } }", "Validation error of type MissingFieldArgument: "),
        ("{ getRecommendations(userId: 3) { nextToken } }", "Validation error of type WrongType: "),
        (
            '{ getRecommendations(userId: "u", x: 1) { nextToken } }',
            "Validation error of type UnknownArgument: ",
        ),
        ("query($u: String!) { __typename }", "Validation error of type UnusedVariable: "),
        ("{ ...f }", "Validation error of type UndefinedFragment: "),
    ],
)
def test_errors_have_the_words_of_appsync(text: str, message: str) -> None:
    errors = Documents().get(text).errors

    assert errors[0]["message"].startswith(message)
    assert errors[0]["path"] is None
    assert errors[0]["locations"][0].keys() == {"line", "column", "sourceName"}


def test_a_selection_is_encoded_in_its_order_with_aliases_and_type_names() -> None:
    text = f"{{ a: {LIST} {{ nextToken items {{ score id: itemId __typename score }} __typename }} }}"

    [field] = Documents().get(text).operation(None).fields or []

    assert (
        field.prefix + field.encode(([ROW, ROW], b"null"))
        == orjson.dumps(
            {
                "a": {
                    "nextToken": None,
                    "items": [{"score": 0.5, "id": "i", "__typename": "Recommendation"}] * 2,
                    "__typename": "RecommendationConnection",
                }
            }
        )[1:-1]
    )


@pytest.mark.parametrize(
    "text", ["{ __typename }", get_introspection_query(), f"{{ {LIST} @skip(if: true) {{ nextToken }} }}"]
)
def test_what_depends_on_the_schema_or_on_directives_is_not_compiled(text: str) -> None:
    document = Documents().get(text)

    assert document.errors == []
    assert next(iter(document.operations.values())).fields is None


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "Variable 'u' has coerced Null value for NonNull type 'String!'"),
        ({"u": None}, "Variable 'u' has coerced Null value for NonNull type 'String!'"),
        ({"u": 3}, "Variable '$u' has invalid value: String cannot represent a non string value: 3"),
        ({"u": "a", "n": "x"}, "Variable '$n' has invalid value: Int cannot represent"),
        ({"u": "a", "n": 2**31}, "Variable '$n' has invalid value: Int cannot represent"),
        ({"u": "a", "n": True}, "Variable '$n' has invalid value: Int cannot represent"),
    ],
)
def test_a_wrong_variable_is_named(inputs: dict[str, Any], message: str) -> None:
    text = "query($u: String!, $n: Int) { getRecommendations(userId: $u, limit: $n) { nextToken } }"

    with pytest.raises(InvalidVariables) as invalid:
        Documents().get(text).operation(None).variables.coerce(inputs)

    assert invalid.value.errors[0]["message"].startswith(message)


@pytest.mark.parametrize(
    ("declared", "inputs", "expected"),
    [
        ("$n: Int", {}, {"userId": "u", "limit": 20}),
        ("$n: Int", {"n": None}, {"userId": "u", "limit": None}),
        ("$n: Int = 7", {}, {"userId": "u", "limit": 7}),
        ("$n: Int = 7", {"n": 3, "other": 1}, {"userId": "u", "limit": 3}),
    ],
)
def test_a_missing_variable_leaves_the_default_of_its_argument(
    declared: str, inputs: dict[str, Any], expected: dict[str, Any]
) -> None:
    text = f'query({declared}) {{ getRecommendations(userId: "u", limit: $n) {{ nextToken }} }}'
    operation = Documents().get(text).operation(None)

    [field] = operation.fields or []

    assert field.arguments.of(operation.variables.coerce(inputs)) == expected


def test_one_of_several_operations_is_named() -> None:
    document = Documents().get("query a { __typename } query b { __typename }")

    assert document.operation("b").name == "b"
    for name in (None, "c"):
        with pytest.raises(RequestError, match=r"operationName|Unknown operation named 'c'"):
            document.operation(name)


def test_texts_are_remembered_up_to_a_number() -> None:
    documents = Documents()
    first = documents.get("{ __typename }")

    assert documents.get("{ __typename }") is first
    for number in range(MAX_DOCUMENTS):
        documents.get(f"{{ t{number}: __typename }}")
    assert documents.get("{ __typename }") is not first


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Request body is empty."),
        (b"{}", "Unable to parse GraphQL query."),
        (b"[]", "Unable to parse GraphQL query."),
        (b'{"query": 3}', "Unable to parse GraphQL query."),
        (b"[" * 60_000, "Unable to parse GraphQL query."),
        (b"\xff", "Unable to parse GraphQL query."),
        (b'{"query": "{a}", "variables": []}', "variables must be a JSON object."),
        (b'{"query": "{a}", "operationName": 3}', "operationName must be a string."),
    ],
)
def test_a_body_that_is_no_request_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        of_body(body)

    assert refused.value.document["errors"][0]["message"] == message


@pytest.mark.parametrize("query", [b"", b"query=%ff", b"query=a&variables=x", b"\xc3", b"a=1&" * 30])
def test_a_query_string_that_is_no_request_is_refused(query: bytes) -> None:
    with pytest.raises(RequestError, match="Unable to parse"):
        of_query_string(query)
