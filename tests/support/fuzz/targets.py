"""Every route of the OpenAPI pages and every operation of the control plane, as sources of valid requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from deploy.local.ports import SERVICES
from services.engine.personalize.operations import TABLE
from tests.contract.access import application, aws_operations
from tests.support.fuzz.examples import OPTIONAL_SHARE, Examples, Schema
from tests.support.fuzz.requests import Encoding, Header, KeyPair, Request
from tests.support.processes import ROOT

Known = Mapping[str, Sequence[Any]]

_ENCODINGS: Mapping[str, Encoding] = {
    "application/json": "json",
    "application/cloudevents+json": "json",
    "application/cloudevents-batch+json": "json",
    "application/x-ndjson": "lines",
    "multipart/form-data": "form",
}
_AWS_TAG = "Amazon Personalize"
UNDOCUMENTED_QUERY = "parameters that the page leaves out"
"""The key in `Known` of query parameters that a route passes on to another service."""

_SIGNED_SHARE = 0.15
_SERVICE_KEY_SHARE = 0.1


@dataclass(frozen=True)
class Callers:
    """The credentials that reach every handler."""

    admin: bytes
    service: bytes
    tenant: bytes
    pair: KeyPair


@dataclass(frozen=True)
class Target:
    """A route or an operation; it makes valid requests."""

    name: str
    service: str
    method: str
    path: str
    parameters: Sequence[Mapping[str, Any]] = ()
    bodies: Sequence[tuple[Encoding, Schema]] = ()
    definitions: Mapping[str, Schema] | None = None
    headers: tuple[Header, ...] = ()
    can_be_signed: bool = False
    is_declined: bool = False
    """True if it only responds that it is not supported."""

    def valid(self, known: Known, callers: Callers, random: Random) -> Request:
        """Return a request that the target accepts if its resources are in the right state.

        `known` has valid values for its members and parameters.
        """
        examples = Examples(known, self.definitions or {}, random)
        values: dict[str, list[tuple[str, str]]] = {"path": [], "query": [], "header": []}
        for parameter in self.parameters:
            if parameter.get("required") or random.random() < OPTIONAL_SHARE:
                value = examples.value(parameter.get("schema", {}), parameter["name"])
                values[parameter["in"]].append((parameter["name"], str(value)))
        values["query"] += random.choice(known.get(UNDOCUMENTED_QUERY, [()]))
        encoding, document = self._body(examples, random)
        sent = tuple((name.lower().encode(), value.encode()) for name, value in values["header"])
        headers, signer = self._credentials(callers, random)
        return Request(
            target=self.name,
            service=self.service,
            method=self.method,
            path=self.path,
            in_path=dict(values["path"]),
            query=tuple(values["query"]),
            headers=(*self.headers, *sent, *headers),
            document=document,
            encoding=encoding,
            signer=signer,
        )

    def _body(self, examples: Examples, random: Random) -> tuple[Encoding, Any]:
        if not self.bodies:
            return "none", None
        encoding, schema = random.choice(self.bodies)
        document = examples.value(schema)
        if encoding == "lines" and isinstance(document, str):
            encoding, document = "lines", [examples.value(self.bodies[0][1]) for _ in range(2)]
        return encoding, document

    def _credentials(self, callers: Callers, random: Random) -> tuple[tuple[Header, ...], KeyPair | None]:
        drawn = random.random()
        if self.can_be_signed and drawn < _SIGNED_SHARE:
            return (), callers.pair
        if drawn > 1 - _SERVICE_KEY_SHARE:
            return ((b"x-api-key", callers.service), (b"x-endcap-tenant", callers.tenant)), None
        return ((b"x-api-key", callers.admin),), None


def routes() -> Iterator[Target]:
    """Yield every method and path of the OpenAPI pages, except the control plane's."""
    for service in SERVICES:
        page = orjson.loads((ROOT / "docs" / "openapi" / f"{service}.json").read_bytes())
        definitions = page.get("components", {}).get("schemas", {})
        for path, methods in page["paths"].items():
            for method, operation in methods.items():
                if path == "/" and method == "post":
                    continue
                content = operation.get("requestBody", {}).get("content", {})
                yield Target(
                    name=f"{service} {method.upper()} {path}",
                    service=service,
                    method=method.upper(),
                    path=path,
                    parameters=operation.get("parameters", ()),
                    bodies=[(_ENCODINGS[kind], body["schema"]) for kind, body in content.items()],
                    definitions=definitions,
                    can_be_signed=_AWS_TAG in operation.get("tags", ()),
                    is_declined="declined" in operation.get("summary", ""),
                )


def operations() -> Iterator[Target]:
    """Yield every operation of the control plane, and of the other services of AWS."""
    for name, row in TABLE.items():
        schema = row.request.model_json_schema()
        yield Target(
            name=f"engine {name}",
            service="engine",
            method="POST",
            path="/",
            bodies=[("json", schema)],
            definitions=schema.get("$defs", {}),
            headers=((b"x-amz-target", f"AmazonPersonalize.{name}".encode()),),
            can_be_signed=True,
        )
    for service in SERVICES:
        for target, operation in aws_operations(application(service)).items():
            schema = operation.request.model_json_schema()
            yield Target(
                name=f"{service} {target}",
                service=service,
                method="POST",
                path="/",
                bodies=[("json", schema)],
                definitions=schema.get("$defs", {}),
                headers=((b"x-amz-target", target.encode()),),
                is_declined=bool(operation.declined),
            )


__all__ = ["Callers", "Known", "Target", "operations", "routes"]
