"""Send events with the unmodified clients of vendors, each to a URL of its own; print what each sent."""

import json
import sys
import time
from importlib.metadata import version
from urllib.parse import urlsplit

import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from posthog import Posthog
from requests.adapters import HTTPAdapter
from rudderstack.analytics.client import Client as Rudder
from segment.analytics.client import Client as Segment
from snowplow_tracker import Emitter, StructuredEvent, Subject, Tracker
from urllib3.util import Retry

URLS, KEY, USER, COUNT = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
ITEMS = [f"item-{number}" for number in range(COUNT)]


def segment(url: str, user: str) -> None:
    client = Segment(KEY, host=url)
    for item in ITEMS:
        client.track(user, "Product Viewed", {"product_id": item})
    client.flush()
    client.join()


def rudderstack(url: str, user: str) -> None:
    client = Rudder(KEY, host=url)
    for item in ITEMS:
        client.track(user, "Product Viewed", {"product_id": item})
    client.flush()
    client.join()


def posthog(url: str, user: str) -> None:
    client = Posthog(KEY, host=url)
    for item in ITEMS:
        client.capture("Product Viewed", distinct_id=user, properties={"product_id": item})
    client.flush()
    client.shutdown()


def snowplow(url: str, user: str) -> None:
    failed, sent = [], []
    emitter = Emitter(
        urlsplit(url).netloc,
        protocol="http",
        batch_size=COUNT,
        on_success=sent.extend,
        on_failure=lambda _, events: failed.extend(events),
    )
    tracker = Tracker("shop", emitter, app_id=KEY, subject=Subject().set_user_id(user))
    for item in ITEMS:
        tracker.track(StructuredEvent(category="shop", action="product_view", label=item))
    began = time.monotonic()
    while len(sent) < COUNT and time.monotonic() - began < 60:
        tracker.flush()
        time.sleep(0.1)


def cloudevents(url: str, user: str) -> None:
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=Retry(3, allowed_methods=None, backoff_factor=0.1)))
    events = [
        CloudEvent(
            {"type": "com.shop.product.viewed.v1", "source": "/shop", "id": f"{user}-{item}"},
            {"user_id": user, "item_id": item},
        )
        for item in ITEMS
    ]
    structured = [to_structured_event(event) for event in events[1:]]
    batch = b"[" + b",".join(message.body for message in structured[1:]) + b"]"
    binary = to_binary_event(events[0])
    for body, headers in (
        (binary.body, binary.headers),
        (structured[0].body, structured[0].headers),
        (batch, {"content-type": "application/cloudevents-batch+json"}),
    ):
        answer = session.post(f"{url}/v1/events", data=body, headers={**headers, "x-api-key": KEY})
        answer.raise_for_status()


CLIENTS = {
    "segment-analytics-python": segment,
    "rudder-sdk-python": rudderstack,
    "posthog": posthog,
    "snowplow-tracker": snowplow,
    "cloudevents": cloudevents,
}
for name, send in CLIENTS.items():
    send(URLS[name], f"{USER}-{name}")
sys.stdout.write(json.dumps({name: version(name) for name in CLIENTS}))
