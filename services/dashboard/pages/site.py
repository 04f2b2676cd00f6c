"""The means of every page: templates, the services, redirects with a notice, and audited changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote, unquote, urlencode

import orjson
from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.dashboard.domain import formats
from services.dashboard.domain.roles import Role, has_role
from services.dashboard.metrics import CHANGES

if TYPE_CHECKING:
    from services.dashboard.api.assets import Assets
    from services.dashboard.api.guard import Guard, Visitor
    from services.dashboard.settings import Settings
    from services.dashboard.store.audit_log import AuditLog
    from services.dashboard.store.services import Reply, Services

TEMPLATES = Path(__file__).with_name("templates")
NOTICE = "endcap_notice"
THEME = "endcap_theme"
THEMES = ("auto", "light", "dark")
GROUPS = ("Watch", "Shop", "Learn", "Operate")

_SERVER_ERROR = 500

Method = TypeVar("Method", bound=Callable[..., Awaitable[Response]])


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the navigation. `name` is its path below the root; `role` may see it."""

    name: str
    title: str
    group: Literal["Watch", "Shop", "Learn", "Operate"]
    role: Role
    routes: Callable[[Site], APIRouter]


class Site:
    """Renders pages, and makes changes that the audit log records."""

    def __init__(
        self, settings: Settings, guard: Guard, services: Services, audit_log: AuditLog, assets: Assets
    ) -> None:
        self.root = settings.root_path
        self.settings = settings
        self.guard = guard
        self.services = services
        self.audit_log = audit_log
        self.pages: tuple[Page, ...] = ()
        self._missing_assets = assets.missing
        self._templates = _environment(self.root, assets)

    def routers(self, pages: tuple[Page, ...]) -> list[APIRouter]:
        """Return the routers of pages, which become the navigation."""
        self.pages = pages
        return [page.routes(self) for page in pages]

    def router(self) -> APIRouter:
        """Return an empty router for routes below the root."""
        return APIRouter(prefix=self.root, include_in_schema=False, default_response_class=HTMLResponse)

    def render(
        self, request: Request, visitor: Visitor | None, template: str, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Return a page; the visitor is None before sign-in."""
        notice = _read_notice(request)
        html = self._templates.get_template(template).render(
            visitor=visitor,
            navigation=self._navigation(visitor),
            current=request.url.path.removeprefix(f"{self.root}/").partition("/")[0],
            path=request.url.path,
            notice=notice,
            theme=_theme(request),
            missing_assets=self._missing_assets,
            now=datetime.now(UTC),
            **values,
        )
        response = HTMLResponse(html, status)
        if notice:
            response.delete_cookie(NOTICE, path=self.root)
        return response

    def redirect(self, request: Request, path: str, notice: str = "", kind: str = "success") -> Response:
        """Return a redirect to a page below the root, which shows the notice once."""
        response = RedirectResponse(f"{self.root}{path}", 303)
        if notice:
            value = quote(orjson.dumps({"kind": kind, "text": notice[:800]}))
            response.set_cookie(
                NOTICE,
                value,
                max_age=60,
                path=self.root,
                secure=self.guard.is_secure(request),
                httponly=True,
                samesite="lax",
            )
        return response

    def address(self, request: Request, path: str) -> str:
        """Return the address by which browsers reach a path below the root."""
        scheme = "https" if self.guard.is_secure(request) else "http"
        base = self.settings.public_url or f"{scheme}://{request.headers.get('host', '')}"
        return f"{base}{self.root}{path}"

    def home(self) -> str:
        """Return the path of the first page below the root."""
        return f"/{self.pages[0].name}"

    async def change(
        self,
        visitor: Visitor,
        action: str,
        target: str,
        call: Callable[[], Awaitable[Reply]],
        *,
        before: Any = None,
        after: Any = None,
    ) -> Reply:
        """Make a change by a call of a service, with an entry of the audit log; return the reply.

        `action` is a fixed text such as `save placement`, `target` the name of what changes. The entry is
        written first, so the change is not made while Postgres is unavailable.
        """
        entry = await self.audit_log.begin(visitor.person, action, target, before, after)
        reply = await call()
        if reply.ok:
            outcome: Literal["done", "refused", "unknown"] = "done"
        else:
            outcome = "unknown" if reply.is_absent or reply.status >= _SERVER_ERROR else "refused"
        await self.audit_log.complete(visitor.person, entry, outcome, reply.problem or "")
        CHANGES.labels(action, outcome).inc()
        return reply

    def _navigation(self, visitor: Visitor | None) -> list[tuple[str, list[Page]]]:
        if visitor is None:
            return []
        shown = [page for page in self.pages if has_role(visitor.person.role, page.role)]
        groups = [(group, [page for page in shown if page.group == group]) for group in GROUPS]
        return [(group, pages) for group, pages in groups if pages]


class PageRoutes:
    """The routes of a page: the methods of a subclass that are marked by `get` or `post`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._services = site.services

    @classmethod
    def routes(cls, site: Site) -> APIRouter:
        """Return the marked methods as routes below the root, in their order."""
        pages, router = cls(site), site.router()
        for name, method in vars(cls).items():
            if marked := getattr(method, "marked_route", None):
                verb, path = marked
                router.add_api_route(path, getattr(pages, name), methods=[verb])
        return router


def get(path: str) -> Callable[[Method], Method]:
    """Mark a method that answers GET requests for a path below the root."""
    return _marker("GET", path)


def post(path: str) -> Callable[[Method], Method]:
    """Mark a method that answers POST requests for a path below the root."""
    return _marker("POST", path)


def _marker(verb: str, path: str) -> Callable[[Method], Method]:
    def mark(method: Method) -> Method:
        method.marked_route = verb, path  # type: ignore[attr-defined]
        return method

    return mark


def _environment(root: str, assets: Assets) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"root": root, "asset": assets.url, "link": _link(root)}
    for name in ("number", "compact", "percent", "seconds", "size", "moment", "ago", "text", "words", "fact"):
        environment.filters[name] = getattr(formats, name)
    environment.filters["json"] = _json
    environment.filters["segment"] = _segment
    return environment


def _link(root: str) -> Callable[..., str]:
    def link(path: str, **parameters: Any) -> str:
        """Return the address of a page; parameters without a value are left out."""
        query = urlencode({name: value for name, value in parameters.items() if value not in {None, ""}})
        return f"{root}/{path}" + (f"?{query}" if query else "")

    return link


def _segment(value: object) -> str:
    """Return a value as one segment of a path."""
    return quote(str(value), safe="")


def _json(value: Any, indent: bool = True) -> Markup | str:  # noqa: FBT001, FBT002 - a filter of templates
    """Return a document as JSON; the template escapes it."""
    option = orjson.OPT_INDENT_2 if indent else 0
    return orjson.dumps(value, option=option | orjson.OPT_NON_STR_KEYS).decode()


def _theme(request: Request) -> str:
    theme = request.cookies.get(THEME, "auto")
    return theme if theme in THEMES else "auto"


def _read_notice(request: Request) -> Mapping[str, str] | None:
    """Return the notice that a redirect left in a cookie."""
    value = request.cookies.get(NOTICE)
    if not value:
        return None
    try:
        notice = orjson.loads(unquote(value))
        return {"kind": str(notice["kind"]), "text": str(notice["text"])}
    except (ValueError, KeyError, TypeError):
        return None
