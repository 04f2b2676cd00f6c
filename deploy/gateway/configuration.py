"""The configuration of nginx, rendered from the tables of routes, the services that run, and the settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.gateway.answers import ERRORS, api_pages, error_location, index, not_found, unserved
from deploy.gateway.metrics import metrics_server
from deploy.gateway.routes import AWS_SERVICES, ROUTES, AwsService, Route, Transfer
from deploy.gateway.settings import GatewaySettings

_TEMPLATE = Path(__file__).with_name("nginx.conf.template")

LOGGED_PARAMETERS = (
    "limit",
    "num_results",
    "numResults",
    "offset",
    "page",
    "list-type",
    "max-keys",
    "location",
    "uploads",
    "versioning",
    "x-id",
)
"""Parameters of queries that never hold a secret or a person's data."""

_HTTP2_DIRECTIVE = (1, 25, 1)
"""The version of nginx from which `http2` is a directive of its own."""

_WITHOUT_API_PAGE = frozenset({"dashboard", "s3", "shop"})

_DIRECTIVES: Mapping[Transfer, tuple[str, ...]] = {
    Transfer.PLAIN: (),
    Transfer.UPLOAD: (
        "client_max_body_size 0;",
        "proxy_request_buffering off;",
        "proxy_read_timeout 300s;",
        "proxy_send_timeout 300s;",
    ),
    Transfer.STREAM: ("proxy_buffering off;", "proxy_read_timeout 3600s;", "proxy_send_timeout 3600s;"),
    Transfer.OBJECT: (
        "client_max_body_size 0;",
        "proxy_request_buffering off;",
        "proxy_buffering off;",
        "proxy_read_timeout 300s;",
        "proxy_send_timeout 300s;",
        "gzip off;",
    ),
}


@dataclass(frozen=True, slots=True)
class Installation:
    """The services behind the gateway, and the gateway's own files.

    `services` maps the services that run, and `s3`, to their `host:port`. `folder` is the gateway's own, for
    temporary files. `log` is where the access log goes. `version` is that of nginx. With a `resolver`, the
    address of a name server, names of services may change their addresses; that needs nginx 1.27.3.
    `kit` is the file of `/kit.js`, the storefront kit.
    """

    services: Mapping[str, str]
    folder: Path
    log: str = "/dev/stdout"
    version: tuple[int, ...] = _HTTP2_DIRECTIVE
    workers: str = "auto"
    resolver: str | None = None
    kit: Path | None = None


def render(installation: Installation, settings: GatewaySettings) -> str:
    """Return the text of nginx.conf."""
    running = installation.services
    routes = [route for route in ROUTES if route.service in running]
    aws = [service for service in AWS_SERVICES if service.service in running]
    values = {
        "folder": str(installation.folder),
        "log": installation.log,
        "workers": installation.workers,
        "scopes": _lines(_scope(service) for service in AWS_SERVICES),
        "targets": _lines(_target(service) for service in AWS_SERVICES if service.target),
        "bucket_calls": _lines(_bucket_calls(running)),
        "logged_parameters": "|".join(LOGGED_PARAMETERS),
        "limits": "\n".join(_limits(settings)),
        "upstreams": "\n".join(_upstreams(installation)),
        "listen": "\n".join(_listen(installation, settings)),
        "metrics": metrics_server(settings),
        "locations": "\n\n".join([*_locations(routes, aws, running), *_kit(installation.kit)]),
        "api_pages": api_pages(_documented(running)),
        "index": index(routes, aws),
        "not_found": not_found(routes, aws),
        "errors": "\n\n".join(error_location(error) for error in ERRORS),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _TEMPLATE.read_text())


def _scope(service: AwsService) -> str:
    # The paths of a request that was signed for Personalize name its service, as does its X-Amz-Target.
    answers = '""' if service.scope == "personalize" else (service.service or "unserved")
    return f"{service.scope} {answers};"


def _target(service: AwsService) -> str:
    return f'"~^{re.escape(service.target or "")}" {service.service or "unserved"};'


def _bucket_calls(running: Mapping[str, str]) -> list[str]:
    if not {"engine", "s3"} <= running.keys():
        return []
    return [
        r'"~^s3 (?:GET|PUT|DELETE) \d* /[^/?]+/?\?(?:[^&]*&)*policy(?:=|&|$)" buckets;',
        r'"~^s3 PUT [1-9]\d* /[^/?]+/?(?:\?x-id=CreateBucket)?$" buckets;',
    ]


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(f"        {line}" for line in lines)


def _limits(settings: GatewaySettings) -> list[str]:
    lines = []
    if settings.requests_per_second:
        rate = settings.requests_per_second
        lines += [
            f"    limit_req_zone $endcap_counted_client zone=endcap_requests:10m rate={rate}r/s;",
            f"    limit_req zone=endcap_requests burst={2 * rate} nodelay;",
            "    limit_req_status 429;",
        ]
    if settings.connections:
        lines += [
            "    limit_conn_zone $binary_remote_addr zone=endcap_connections:10m;",
            f"    limit_conn endcap_connections {settings.connections};",
            "    limit_conn_status 429;",
        ]
    if settings.trusted_proxies:
        lines += [f"    set_real_ip_from {network};" for network in settings.trusted_proxies]
        lines += ["    real_ip_header X-Forwarded-For;"]
    return lines


def _upstreams(installation: Installation) -> list[str]:
    resolver = installation.resolver
    lines = [f"    resolver {resolver} valid=5s;"] if resolver else []
    for name, address in sorted(installation.services.items()):
        lines += [
            f"    upstream endcap_{name} {{",
            *([f"        zone endcap_{name} 64k;"] if resolver else []),
            f"        server {address}{' resolve' if resolver else ''};",
            "        keepalive 32;",
            "        keepalive_timeout 10s; # below the time after which services close idle connections",
            "    }",
        ]
    return lines


def _listen(installation: Installation, settings: GatewaySettings) -> list[str]:
    plain = [f"        listen {settings.plain_host}:{settings.plain_port};"] * bool(settings.plain_port)
    address = f"{settings.host}:{settings.port}"
    if settings.certificate is None:
        return [f"        listen {address};", *plain]
    has_directive = installation.version >= _HTTP2_DIRECTIVE
    return [
        *plain,
        f"        listen {address} ssl{'' if has_directive else ' http2'};",
        *(["        http2 on;"] if has_directive else []),
        f"        ssl_certificate {settings.certificate};",
        f"        ssl_certificate_key {settings.certificate_key};",
        "        ssl_protocols TLSv1.2 TLSv1.3;",
        "        ssl_session_cache shared:endcap:4m;",
    ]


def _locations(routes: list[Route], aws: list[AwsService], running: Mapping[str, str]) -> list[str]:
    locations = [
        _location(match(route.path), route.service, "", _DIRECTIVES[route.transfer]) for route in routes
    ]
    transfers = {service.service: service.transfer for service in aws}
    locations += [
        _location(f"= /-/{name}", str(name), "$request_uri", ("internal;", *_DIRECTIVES[transfer]))
        for name, transfer in transfers.items()
    ]
    if _bucket_calls(running):
        locations.append(_location("= /-/buckets", "engine", "/s3$request_uri", ("internal;",)))
    locations += unserved(aws)
    locations += _pages(running)
    return locations


def match(path: str) -> str:
    """Return the location of nginx for the path of a route."""
    if "{" in path:
        return f"~ ^{re.sub(r'{[a-z_]+}', '[^/]+', path)}$"
    return path.removesuffix("*") if path.endswith("/*") else f"= {path}"


def _location(match: str, service: str, uri: str, directives: Iterable[str]) -> str:
    lines = [f"set $endcap_service {service};", *directives, f"proxy_pass http://endcap_{service}{uri};"]
    body = "\n".join(f"            {line}" for line in lines)
    return f"        location {match} {{\n{body}\n        }}"


def _pages(running: Mapping[str, str]) -> list[str]:
    """Return the locations of the services' API pages, which share their style and script."""
    documented = _documented(running)
    locations = [
        _location(f"{operator} /docs/{name}{suffix}", name, "", ())
        for name in documented
        for operator, suffix in (("=", ""), ("=", "/openapi.json"))
    ]
    if documented:
        locations.append(_location("~ ^/docs/page\\.(?:css|js)$", documented[0], "", ()))
    return locations


def _kit(file: Path | None) -> list[str]:
    if file is None:
        return []
    # Pages of any shop load it, and a new version must reach them soon. A name with a hash is of one version.
    return [
        _kit_location("= /kit.js", f"alias {file};", "public, max-age=300"),
        _kit_location(
            r'~ "^/kit\.[0-9a-f]{16}\.js$"', f"root {file.parent};", "public, max-age=31536000, immutable"
        ),
    ]


def _kit_location(match: str, place: str, cache_control: str) -> str:
    lines = [
        place,
        "gzip_static on;",  # the build compresses it once, and better
        f'add_header Cache-Control "{cache_control}";',
        'add_header Access-Control-Allow-Origin "*" always;',
        'add_header Cross-Origin-Resource-Policy "cross-origin" always;',
        "add_header X-Request-Id $endcap_request_id always;",
    ]
    body = "\n".join(f"            {line}" for line in lines)
    return f"        location {match} {{\n{body}\n        }}"


def _documented(running: Iterable[str]) -> list[str]:
    """Return the services that have an API page."""
    return [name for name in running if name not in _WITHOUT_API_PAGE]
