"""The metrics of the gateway, in Prometheus's text format.

nginx has a page of counters, `stub_status`, in a format of its own. A server of the gateway includes that
page in an answer and takes the numbers out of it, by nginx's server-side includes. There is no exporter.
"""

from __future__ import annotations

from deploy.gateway.settings import GatewaySettings

PREFIX = "endcap_gateway_"
METRICS = (
    ("connections_accepted_total", "counter", "Connections that clients opened.", {"": 1}),
    (
        "connections_handled_total",
        "counter",
        "Accepted connections that were not dropped for want of room.",
        {"": 2},
    ),
    ("requests_total", "counter", "Requests of clients, those included that the gateway answered.", {"": 3}),
    (
        "connections",
        "gauge",
        "Open connections: a request is read, answered, or awaited.",
        {'{state="reading"}': 4, '{state="writing"}': 5, '{state="waiting"}': 6},
    ),
)
"""Name, type, description, and by labels the position of the number on nginx's page."""

_PAGE = "([0-9]+) ([0-9]+) ([0-9]+) \\s*Reading: ([0-9]+) Writing: ([0-9]+) Waiting: ([0-9]+)"

NAMES = tuple(f"{PREFIX}{name}" for name, *_ in METRICS)


def metrics_server(settings: GatewaySettings) -> str:
    """Return the server that answers `/metrics`; nothing without a port for it."""
    if not settings.metrics_port:
        return ""
    return f"""\
    # `stub_status` in Prometheus's format.
    geo $endcap_dollar {{
        default "$";
    }}
    server {{
        listen {settings.metrics_host}:{settings.metrics_port};
        access_log off;

        location = /-/status {{
            internal;
            stub_status;
        }}

        location = /metrics {{
            default_type "text/plain; version=0.0.4; charset=utf-8";
            ssi on;
            ssi_types *;
            return 200 '<!--# include virtual="/-/status" set="status" -->\
<!--# if expr="${{endcap_dollar}}status = /{_PAGE}/" -->{_text()}<!--# endif -->';
        }}

        location / {{
            return 404;
        }}
    }}
"""


def _text() -> str:
    lines = []
    for name, kind, description, samples in METRICS:
        full = f"{PREFIX}{name}"
        lines += [f"# HELP {full} {description}", f"# TYPE {full} {kind}"]
        lines += [f'{full}{labels} <!--# echo var="{position}" -->' for labels, position in samples.items()]
    return "\n".join(lines) + "\n"
