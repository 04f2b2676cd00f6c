"""Browser clients of vendors, unmodified, on a page of a shop whose first requests get no answer."""

from __future__ import annotations

import gzip
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from playwright.async_api import Page, Route

from tests.browser.conftest import EventLog
from tests.support.product import Endcap
from tests.support.site import Site
from tests.support.waiting import eventually

COUNT = 12
BUNDLES = {
    "@segment/analytics-next": "dist/umd/index.js",
    "@rudderstack/analytics-js": "dist/npm/modern/bundled/umd/index.js",
    "posthog-js": "dist/module.full.no-external.js",
    "@snowplow/browser-tracker": "dist/index.umd.min.js",
}
PATHS = {
    "@segment/analytics-next": ("/v1/i", "/v1/p", "/v1/t"),
    "@rudderstack/analytics-js": ("/v1/identify", "/v1/page", "/v1/track"),
    "posthog-js": ("/e/", "/i/v0/e/", "/batch/"),
    "@snowplow/browser-tracker": ("/com.snowplowanalytics.snowplow/tp2",),
}
"""The paths to which each client sends."""

_ID = re.compile(rb'"(?:messageId|uuid|eid)":"([^"]+)"')

SEND = """async ([url, key, user, count]) => {
  const items = [...Array(count).keys()].map((number) => `item-${number}`);
  const id = (name) => `${user}-${name}`;

  const [segment] = await AnalyticsNext.AnalyticsBrowser.load({writeKey: key, cdnURL: url});
  segment.identify(id("@segment/analytics-next"));
  segment.page("Shop");
  for (const item of items) segment.track("Product Viewed", {product_id: item});

  const rudder = new rudderanalytics.RudderAnalytics();
  rudder.load(key, url, {configUrl: url});
  rudder.identify(id("@rudderstack/analytics-js"));
  rudder.page("Shop");
  for (const item of items) rudder.track("Product Viewed", {product_id: item});

  const {posthog} = await import("/bundles/posthog-js");
  // PostHog's own switch for tests: its client drops the events of browsers that programs drive.
  const options = {autocapture: false, capture_pageview: false, opt_out_useragent_filter: true};
  posthog.init(key, {api_host: url, ...options});
  posthog.identify(id("posthog-js"));
  posthog.capture("$pageview");
  for (const item of items) posthog.capture("Product Viewed", {product_id: item});

  const snowplow = snowplowBrowserTracking;
  snowplow.newTracker("shop", url, {appId: key, credentials: "omit"});
  snowplow.setUserId(id("@snowplow/browser-tracker"));
  snowplow.trackPageView();
  for (const item of items) {
    snowplow.trackStructEvent({category: "shop", action: "product_view", label: item});
  }
}"""


async def test_browser_clients_of_vendors_lose_and_double_nothing(
    site: Site, page: Page, endcap: Endcap, storefront_key: str, log: EventLog, browser_trackers: Path
) -> None:
    tracker, user = endcap.urls["tracker"], f"visitor-{uuid.uuid4()}"
    sent: dict[str, Counter[bytes]] = {name: Counter() for name in BUNDLES}
    await page.route(f"{site.url}/bundles/**", _bundle(browser_trackers))
    await page.route(f"{tracker}/**", _without_first_answer(sent))
    scripts = [name for name in BUNDLES if name != "posthog-js"]
    head = "".join(f'<script src="/bundles/{name}"></script>' for name in scripts)
    await page.goto(site.put("/vendors", "<main><h1>Lamps</h1></main>", head))
    await page.evaluate(SEND, [tracker, storefront_key, user, COUNT])
    snowplow = sent["@snowplow/browser-tracker"]
    await eventually(lambda: snowplow, "Snowplow's tracker sends")
    # Its buffer is sent with the next event, or like this.
    await eventually(
        lambda: page.evaluate("snowplowBrowserTracking.flushBuffer() ?? true"),
        "Snowplow's tracker sends again",
        enough=lambda _: max(snowplow.values()) > 1,
        every=0.5,
    )

    for name in BUNDLES:
        await eventually(lambda name=name: max(sent[name].values()) > 1, f"{name} sends again")
    for name in BUNDLES:
        rows = await eventually(
            lambda name=name: log.of(user_id=f"{user}-{name}"),
            f"the events of {name} are stored",
            enough=lambda rows: _counts(rows)["view"] >= COUNT and _counts(rows)["page"] >= 1,
        )
        counts = _counts(rows)
        assert {row["item_id"] for row in rows if row["event_type"] == "view"} == {
            f"item-{number}" for number in range(COUNT)
        }, name
        assert (counts["view"], counts["page"]) == (COUNT, 1), (name, counts)


def _counts(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(row["event_type"] for row in rows)


def _bundle(folder: Path) -> Callable[[Route], Any]:
    async def answer(route: Route) -> None:
        name = route.request.url.partition("/bundles/")[2]
        await route.fulfill(path=folder / name / BUNDLES[name], content_type="text/javascript")

    return answer


def _without_first_answer(sent: Mapping[str, Counter[bytes]]) -> Callable[[Route], Any]:
    """Let the first request with events of each client arrive, and lose its answer; count ids in `sent`."""

    async def answer(route: Route) -> None:
        path = "/" + route.request.url.split("/", 3)[3].partition("?")[0]
        name = next((name for name, paths in PATHS.items() if path in paths), None)
        if name is None or route.request.method != "POST":
            await route.continue_()
            return
        body = route.request.post_data_buffer or b""
        is_first = not sent[name]
        sent[name].update(_ID.findall(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body))
        if is_first:
            await route.fetch()
            await route.abort("connectionreset")
        else:
            await route.continue_()

    return answer
