// Sends events with the unmodified clients of vendors, each to a URL of its own; prints their versions.
import { readFileSync } from "node:fs";
import RudderAnalytics from "@rudderstack/rudder-sdk-node";
import { Analytics } from "@segment/analytics-node";
import { buildStructEvent, newTracker } from "@snowplow/node-tracker";
import { PostHog } from "posthog-node";

const [urls, key, user, count] = [JSON.parse(process.argv[2]), ...process.argv.slice(3)];
const items = [...Array(Number(count)).keys()].map((number) => `item-${number}`);

const clients = {
  "@segment/analytics-node": async (url, userId) => {
    const client = new Analytics({ writeKey: key, host: url });
    for (const item of items) {
      client.track({ userId, event: "Product Viewed", properties: { product_id: item } });
    }
    await client.closeAndFlush();
  },
  "@rudderstack/rudder-sdk-node": async (url, userId) => {
    const client = new RudderAnalytics(key, { dataPlaneUrl: url });
    for (const item of items) {
      client.track({ userId, event: "Product Viewed", properties: { product_id: item } });
    }
    await client.flush();
  },
  "posthog-node": async (url, distinctId) => {
    const client = new PostHog(key, { host: url });
    for (const item of items) {
      client.capture({ distinctId, event: "Product Viewed", properties: { product_id: item } });
    }
    await client.shutdown();
  },
  "@snowplow/node-tracker": async (url, userId) => {
    let sent = 0;
    const onRequestSuccess = (batch) => (sent += batch.length);
    const tracker = newTracker(
      { namespace: "shop", appId: key },
      { endpoint: url, eventMethod: "post", bufferSize: items.length, onRequestSuccess },
    );
    tracker.setUserId(userId);
    for (const item of items) {
      tracker.track(buildStructEvent({ category: "shop", action: "product_view", label: item }));
    }
    for (let turn = 0; turn < 600 && sent < items.length; turn += 1) {
      tracker.flush();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  },
};

const versions = {};
for (const [name, send] of Object.entries(clients)) {
  await send(urls[name], `${user}-${name}`);
  versions[name] = JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
}
console.log(JSON.stringify(versions));
process.exit(0);
