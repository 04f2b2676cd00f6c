"""The page at /docs shows every operation and loads nothing from other hosts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib import import_module
from typing import Any

import httpx
import pytest

from deploy.local.ports import SERVICES
from shared.http.pages.html import page

LOADING = {"src", "href", "action", "srcset", "data", "poster", "formaction", "style"}
EVERYWHERE = re.compile(rb"https?:|//[a-z]|@import|url\(|\bimport\b")


class Links(HTMLParser):
    """What a page names, loads or runs."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []
        self.ids: list[str] = []
        self.scripts: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.places += [value or "" for name, value in attrs if name in LOADING]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        assert not [name for name, _ in attrs if name.startswith("on")]
        self._in_script = tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - HTMLParser's
        self._in_script = False


def client(service: str) -> httpx.AsyncClient:
    settings = import_module(f"services.{service}.settings").Settings()
    serving = import_module(f"services.{service}.app").build(settings)
    return httpx.AsyncClient(transport=httpx.ASGITransport(serving), base_url="http://test")


@pytest.mark.parametrize("service", SERVICES)
async def test_the_page_comes_from_the_service_alone(service: str) -> None:
    async with client(service) as http:
        answer = await http.get("/docs")
        document = (await http.get("/openapi.json")).json()
        files = {name: await http.get(f"/docs/{name}") for name in ("page.css", "page.js")}
        redoc = await http.get("/redoc")
        named = await http.get(f"/docs/{service}")
        named_document = await http.get(f"/docs/{service}/openapi.json")
    links, named_links = Links(), Links()
    links.feed(answer.text)
    named_links.feed(named.text)

    assert answer.headers["content-type"].startswith("text/html")
    local = {place for place in links.places if not place.startswith("#")}
    assert local == {"docs/page.css", "docs/page.js", "openapi.json", "data:,"}
    named_local = {place for place in named_links.places if not place.startswith("#")}
    assert named_local == {"page.css", "page.js", f"{service}/openapi.json", "data:,"}
    assert named_document.json() == document
    assert links.scripts == []
    for file in (answer, named, *files.values()):
        policy = file.headers["content-security-policy"]
        assert policy.startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
        )
        assert "unsafe" not in policy
        assert "http" not in policy
    assert files["page.css"].headers["content-type"].startswith("text/css")
    assert files["page.js"].headers["content-type"].startswith("text/javascript")
    assert not any(EVERYWHERE.search(file.content) for file in files.values())
    assert redoc.status_code == 404

    operations = {each["operationId"] for methods in document["paths"].values() for each in methods.values()}
    schemas = {f"schema-{name}" for name in document["components"]["schemas"]}
    assert set(links.ids) == operations | schemas | {"key"}
    assert {place[1:] for place in links.places if place.startswith("#")} <= schemas


def test_texts_of_a_document_are_no_markup() -> None:
    evil = '"><script src="https://evil.example/x.js"></script>'
    parameter = {
        "name": evil,
        "in": "query",
        "schema": {"type": "string", "default": evil},
        "description": evil,
    }
    operation: dict[str, Any] = {
        "operationId": evil,
        "tags": [evil],
        "summary": evil,
        "description": evil,
        "parameters": [parameter],
        "requestBody": {
            "content": {"application/json": {"schema": {"required": [evil], "properties": {evil: {}}}}}
        },
        "responses": {"200": {"description": evil}},
    }
    document = {
        "info": {"title": evil, "version": evil, "description": evil},
        "paths": {f"/{evil}": {"post": operation}},
        "components": {"schemas": {evil: {"enum": [evil], "description": evil}}},
    }
    links = Links()
    links.feed(page(document, "docs/", "openapi.json"))

    assert [place for place in links.places if "evil" in place] == []
    assert links.scripts == []
