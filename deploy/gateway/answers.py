"""The gateway's own answers: what exists, what does not, and errors. Each is JSON that AWS SDKs read, too."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from deploy.gateway.routes import AWS_SERVICES, AwsService, Route


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error that nginx itself finds, in the words of Endcap's services."""

    name: str
    status: int
    code: str
    aws_code: str
    detail: str
    retry_after: int | None = None


ERRORS = (
    ErrorAnswer("bad_request", 400, "InvalidHttp", "InvalidInputException", "The request is not valid HTTP."),
    ErrorAnswer(
        "too_large",
        413,
        "TooLarge",
        "InvalidInputException",
        "The body is larger than this path accepts. Large files go to POST /v1/imports or into a bucket.",
    ),
    ErrorAnswer(
        "too_many_requests",
        429,
        "TooManyRequests",
        "ThrottlingException",
        "Too many requests or connections of this address; send the same request again in a moment.",
        retry_after=1,
    ),
    ErrorAnswer(
        "headers_too_large", 431, "HeadersTooLarge", "InvalidInputException", "The headers are too large."
    ),
    ErrorAnswer(
        "unavailable",
        503,
        "Unavailable",
        "ServiceUnavailable",
        "The service behind this path is not reachable right now; send the same request again in a moment.",
        retry_after=1,
    ),
    ErrorAnswer(
        "timeout",
        504,
        "Timeout",
        "ServiceUnavailable",
        "The service behind this path did not answer in time; send the same request again in a moment.",
        retry_after=1,
    ),
)


MAX_TEXT = 4_000
"""Characters of a text in a configuration: nginx reads at most 4,096 bytes of one."""


def error_location(error: ErrorAnswer) -> str:
    """Return the location that answers an error."""
    lines = [
        "default_type application/json;",
        f"add_header X-Amzn-Errortype {error.aws_code} always;",
        "add_header X-Request-Id $endcap_request_id always;",
        *([f"add_header Retry-After {error.retry_after} always;"] if error.retry_after else []),
        f"return {error.status} '{_error(error.code, error.aws_code, error.detail)}';",
    ]
    return _location(f"@{error.name}", lines)


def api_pages(services: Iterable[str]) -> str:
    """Return the HTML of `/docs/`, which links to the API page of each service."""
    links = "".join(f'<li><a href="/docs/{name}">{name}</a></li>' for name in services)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Endcap: API pages</title>'
        f'<link rel="icon" href="data:,"></head><body><h1>API pages</h1><ul>{links}</ul></body></html>'
    )


def index(routes: Iterable[Route], aws: Iterable[AwsService]) -> str:
    """Return the JSON of `/`: the paths and the services of AWS that exist."""
    document = {"endcap": "The paths and AWS services of this address.", **_names(routes, aws)}
    return _quoted(document, indent=0)


def not_found(routes: Iterable[Route], aws: Iterable[AwsService]) -> str:
    """Return the JSON for a path that does not exist, with those that do."""
    detail = "Nothing is at this path. `paths` lists what is here, and `aws` the services of AWS."
    document = {**_body("NotFound", "UnknownOperationException", detail), **_names(routes, aws)}
    return _quoted(document, indent=0)


def unserved(aws: Iterable[AwsService]) -> list[str]:
    """Return the locations for requests that are signed for a service of AWS that Endcap does not have.

    Those of the Query protocol are forms, and their answer is XML.
    """
    titles = ", ".join(service.title for service in aws)
    detail = f"This request is for a service of AWS that does not run here. These do: {titles}."
    code = "UnknownOperationException"
    xml = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{detail}</Message></Error>"
        "<RequestId>-</RequestId></ErrorResponse>"
    )
    answers = {
        "unserved": ("application/json", _error("UnknownService", code, detail)),
        "unserved_form": ("text/xml", xml),
    }
    return [
        _location(
            f"= /-/{name}",
            [
                "internal;",
                f"default_type {content_type};",
                f"add_header X-Amzn-Errortype {code} always;",
                "add_header X-Request-Id $endcap_request_id always;",
                f"return 404 '{body}';",
            ],
        )
        for name, (content_type, body) in answers.items()
    ]


def _names(routes: Iterable[Route], aws: Iterable[AwsService]) -> dict[str, list[str]]:
    return {
        "paths": sorted({route.path for route in routes}),
        "aws": [service.title for service in AWS_SERVICES if service in list(aws)],
    }


def _error(code: str, aws_code: str, detail: str) -> str:
    return _quoted(_body(code, aws_code, detail))


def _body(code: str, aws_code: str, detail: str) -> dict[str, str]:
    return {"error": code, "detail": detail, "__type": aws_code, "message": detail}


def _quoted(document: object, *, indent: int | None = None) -> str:
    """Return JSON for a string of nginx in single quotes."""
    text = json.dumps(document, separators=(",", ":"), indent=indent)
    assert not set("'$\\") & set(text), "nginx would read a variable or the end of the text in it"
    assert len(text) < MAX_TEXT, "nginx accepts no longer text"
    return text


def _location(match: str, lines: Iterable[str]) -> str:
    body = "\n".join(f"            {line}" for line in lines)
    return f"        location {match} {{\n{body}\n        }}"
