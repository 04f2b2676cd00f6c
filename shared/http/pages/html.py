"""An OpenAPI document as HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

Json = Mapping[str, Any]

_REFERENCE: Final = "#/components/schemas/"
_LIMITS: Final = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems",
    "maxItems", "pattern", "format", "default",
)  # fmt: skip


def page(document: Json, folder: str, document_link: str) -> str:
    """Return the page of an OpenAPI 3.1 document, with its links relative to the page's own address.

    `folder` is that of its style and script, "docs/" or "" for their own; `document_link` is the document's.
    """
    info = document["info"]
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = next(iter(operation.get("tags", ())), "Others")
            by_tag.setdefault(tag, []).append(_operation(method.upper(), path, operation))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(each)}" for tag, each in by_tag.items())
    schemas = document.get("components", {}).get("schemas", {})
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(info["title"])}</title><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="{folder}page.css"><script src="{folder}page.js" defer></script></head>'
        f"<body><header><h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>"
        f"<p>{escape(info.get('description', ''))}</p>"
        f'<p><a href="{escape(document_link)}">openapi.json</a> is this page for programs.</p>'
        '<label>API key <input id="key" type="password" autocomplete="off" '
        'placeholder="sent as x-api-key"></label></header>'
        f"<main>{sections}<h2>Schemas</h2>{''.join(_schemas(schemas))}</main></body></html>"
    )


def _operation(method: str, path: str, operation: Json) -> str:
    identifier = escape(operation["operationId"])
    parameters = operation.get("parameters", [])
    content: Mapping[str, Json] = operation.get("requestBody", {}).get("content", {})
    kind = next(iter(content), "")
    schema: Json = content[kind].get("schema", {}) if kind else {}
    rows = "".join(
        _row(
            f"{each['name']} ({each['in']})",
            each["schema"],
            each.get("required", False),
            each.get("description"),
        )
        for each in parameters
    )
    return (
        f'<details class="operation" id="{identifier}"><summary><b class="{method}">{method}</b> '
        f"<code>{escape(path)}</code> {escape(operation.get('summary', ''))}</summary>"
        f"{_text(operation.get('description'))}"
        f"{_table('Parameters', rows)}"
        f"{_body(kind, schema)}"
        f"{_answers(operation['responses'])}"
        f"{_form(method, path, parameters, kind, schema)}</details>"
    )


def _form(method: str, path: str, parameters: list[Json], kind: str, schema: Json) -> str:
    if kind and "json" not in kind:
        return "<p>Use a program for this operation: its body is not JSON.</p>"
    fields = "".join(
        f"<label>{escape(each['name'])} "
        f'<input name="{escape(each["name"])}" data-in="{escape(each["in"])}"'
        f"{' required' if each.get('required') else ''}></label>"
        for each in parameters
        if each["in"] in {"path", "query"}
    )
    example = json.dumps(_example(schema), indent=2)
    body = f'<label>body <textarea rows="8">{escape(example)}</textarea></label>' if kind else ""
    return (
        f'<form data-method="{method}" data-path="{escape(path)}">{fields}{body}'
        "<button>Send</button><output></output></form>"
    )


def _body(kind: str, schema: Json) -> str:
    if not kind:
        return ""
    rows = "".join(_rows(schema))
    named = "" if rows else f"<p>{_type(schema)}</p>"
    return f"<h3>Body <small>{escape(kind)}</small></h3>{named}{_table('', rows)}"


def _answers(responses: Json) -> str:
    rows = "".join(
        f"<tr><td>{escape(status)}</td><td>{_type(_schema_of(answer))}</td>"
        f"<td>{escape(answer.get('description', ''))}</td></tr>"
        for status, answer in sorted(responses.items())
    )
    return f"<h3>Answers</h3><table>{rows}</table>"


def _schema_of(answer: Json) -> Json:
    content: Mapping[str, Json] = answer.get("content", {})
    for each in content.values():
        schema: Json = each.get("schema", {})
        return schema
    return {}


def _schemas(schemas: Json) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        yield (
            f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>'
            f"{_text(schema.get('description'))}{_table('', ''.join(_rows(schema)))}</details>"
        )


def _rows(schema: Json) -> Iterator[str]:
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        yield _row(name, each, name in required, each.get("description"))


def _row(name: str, schema: Json, required: bool, description: str | None) -> str:  # noqa: FBT001 - as JSON has it
    limits = "".join(f" {limit} <code>{escape(str(value))}</code>" for limit, value in _limits(schema))
    needed = "required" if required else ""
    return (
        f"<tr><td><code>{escape(name)}</code></td><td>{_type(schema)}{limits}</td><td>{needed}</td>"
        f"<td>{escape(description or '')}</td></tr>"
    )


def _limits(schema: Json) -> Iterator[tuple[str, Any]]:
    for each in (schema, *schema.get("anyOf", ())):
        yield from ((name, each[name]) for name in _LIMITS if name in each)


def _type(schema: Json) -> str:
    """Return what a value is, as HTML: a link for a named schema."""
    if reference := schema.get("$ref"):
        name = escape(reference.removeprefix(_REFERENCE))
        return f'<a href="#schema-{name}">{name}</a>'
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(_type(each) for each in schema[several])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " | ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
    kind = escape(str(schema.get("type", "anything")))
    return f"{kind} of {_type(schema['items'])}" if "items" in schema else kind


def _example(schema: Json) -> Any:
    """Return a body to begin with: an example of the schema, or its required members."""
    if examples := schema.get("examples"):
        return examples[0]
    members = schema.get("properties", {})
    return {name: members.get(name, {}).get("examples", [""])[0] for name in schema.get("required", ())}


def _text(text: str | None) -> str:
    return "".join(f"<p>{escape(each)}</p>" for each in (text or "").split("\n\n") if each)


def _table(title: str, rows: str) -> str:
    heading = f"<h3>{title}</h3>" if title else ""
    return f"{heading}<table>{rows}</table>" if rows else ""
