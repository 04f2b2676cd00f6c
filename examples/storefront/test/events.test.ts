import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { Client } from '../src/client.js';
import type { Options } from '../src/options.js';
import { LocalStorage } from '../src/storage.js';
import { answering, emptyStorage, settled } from './browser.js';

const ok = () => new Response('{}');
const busy = (headers: HeadersInit = {}) => new Response('{}', { status: 503, headers });

let page: Storage;

beforeEach(() => {
  page = emptyStorage();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_700_000_000_000 });
});

function client(options: Options = {}): Client {
  return new Client({ url: 'https://endcap.example/', key: 'k', ...options }, new LocalStorage(page));
}

async function pass(milliseconds: number): Promise<void> {
  mock.timers.tick(milliseconds);
  await settled();
}

test('events of a moment are one request, in their order', async () => {
  const sent = answering(ok);
  const shop = client();
  shop.track('view', { item_id: 7, price: 2.5 });
  shop.track('add_to_cart', { item_id: 'b', quantity: 2, colour: 'red' });
  await pass(300);

  assert.equal(sent.length, 1);
  assert.equal(sent[0]?.url, 'https://endcap.example/v1/events');
  assert.equal(sent[0]?.headers['x-api-key'], 'k');
  const [first, second] = sent[0]?.events ?? [];
  assert.deepEqual([first?.['event_type'], first?.['item_id'], first?.['price']], ['view', '7', 2.5]);
  assert.equal(second?.['colour'], 'red');
  assert.equal(first?.['session_id'], second?.['session_id']);
  assert.notEqual(first?.['event_id'], second?.['event_id']);
  await pass(600_000);
  assert.equal(sent.length, 1, 'what was confirmed is not sent again');
});

test('an event keeps its id in every attempt, also of the next page', async () => {
  const sent = answering(busy, () => { throw new TypeError('network'); }, busy, ok);
  client().track('view', { item_id: 'a' });
  await pass(300);
  await pass(1_500);
  assert.equal(sent.length, 2);
  client(); // The page is loaded again.
  await pass(2_000);
  await pass(10_000);

  const ids = new Set(sent.flatMap(({ events }) => events.map((event) => event['event_id'])));
  assert.ok(sent.length >= 4);
  assert.equal(ids.size, 1);
});

test('a pause that the server asks for holds for every page and every flush', async () => {
  const sent = answering(() => busy({ 'retry-after': '30' }), ok);
  const shop = client();
  shop.track('view', { item_id: 'a' });
  await pass(300);
  await shop.flush();
  await client().flush();
  await pass(29_000);
  assert.equal(sent.length, 1);
  await pass(2_000);
  assert.ok(sent.length > 1, 'both pages go on');
});

test('a timer that runs too early does not end the attempts', async () => {
  const sent = answering(busy, ok);
  const timers: (() => void)[] = [];
  mock.timers.reset();
  const later = mock.method(globalThis, 'setTimeout', (run: () => void) => timers.push(run));
  client().track('view', { item_id: 'a' });
  timers.shift()?.();
  await settled();
  timers.shift()?.(); // A second too early.
  await settled();
  later.mock.restore();

  assert.deepEqual([sent.length, timers.length], [1, 1]);
});

test('a request that is too large is divided, and an event that is too large is dropped', async () => {
  const sent = answering(() => new Response('{}', { status: 413 }));
  const shop = client();
  for (let number = 0; number < 4; number++) shop.track('view', { item_id: number });
  await pass(300);
  await pass(2_000);

  assert.deepEqual(sent.map(({ events }) => events.length), [4, 2, 1, 1, 1, 1]);
});

test('an order line has no id of its own, so that the order and the page count once', async () => {
  const sent = answering(ok);
  client().track('purchase', { item_id: 'a', order_id: 17, quantity: 1 });
  await pass(300);

  assert.equal(sent[0]?.events[0]?.['order_id'], '17');
  assert.ok(!('event_id' in (sent[0]?.events[0] ?? {})));
});

test('of more than 500 events the newest are kept, in their order', () => {
  answering(ok);
  const shop = client();
  for (let number = 0; number < 502; number++) shop.track('view', { item_id: number });

  const queued = Object.keys(page).filter((key) => key.startsWith('endcap.event.')).sort();
  const items = queued.map((key) => (JSON.parse(page.getItem(key) ?? '') as { item_id: string }).item_id);
  assert.deepEqual(items, Array.from({ length: 500 }, (_, at) => String(at + 2)));
});

test('an event that is older than a week is not sent anymore', async () => {
  const sent = answering(ok);
  const shop = client();
  shop.track('view', { item_id: 'old' });
  mock.timers.setTime(Date.now() + 7 * 86_400_000);
  shop.track('view', { item_id: 'new' });
  await pass(300);

  assert.deepEqual(sent.flatMap(({ events }) => events.map((event) => event['item_id'])), ['new']);
});

test('without a consent nothing is stored or sent; revoking deletes', async () => {
  const sent = answering(ok);
  const shop = client({ consent: 'required' });
  assert.equal(shop.track('view', { item_id: 'a' }), undefined);
  shop.identify('u1');
  shop.leave();
  await pass(10_000);
  assert.deepEqual([Object.keys(page), sent.length, shop.visitor], [[], 0, undefined]);

  shop.consent(true);
  shop.identify('u1');
  assert.ok(client({ consent: 'required' }).allowed, 'the next page knows it');
  shop.consent(false);
  assert.deepEqual(Object.keys(page), []);
});

test('a visitor who declines where no consent is required is remembered as that alone', async () => {
  answering(ok);
  const shop = client();
  shop.track('view', { item_id: 'a' });
  shop.consent(false);
  assert.deepEqual({ ...page }, { 'endcap.consent': '0' });
  assert.ok(!client().allowed);
  shop.consent(true);
  assert.deepEqual(Object.keys(page), []);
});

test('a login keeps the guest; a logout or another user begins anew', () => {
  answering(ok);
  const shop = client();
  const guest = shop.visitor?.session_id;
  shop.identify('u1');
  assert.deepEqual(shop.visitor, { session_id: guest, user_id: 'u1' });
  shop.identify('u2');
  assert.equal(shop.visitor?.user_id, 'u2');
  assert.notEqual(shop.visitor?.session_id, guest);
  const second = shop.visitor?.session_id;
  shop.reset();
  assert.equal(shop.visitor?.user_id, undefined);
  assert.notEqual(shop.visitor?.session_id, second);
});

test('what follows a click names its recommendation for seven days', async () => {
  const sent = answering(ok);
  const shop = client();
  shop.track('click', { item_id: 'a', recommendation_id: 'r1' });
  shop.track('add_to_cart', { item_id: 'a' });
  shop.track('view', { item_id: 'b' });
  await pass(300);
  await pass(8 * 86_400_000);
  shop.track('purchase', { item_id: 'a' });
  await pass(300);

  const named = sent.flatMap(({ events }) => events).map((event) => event['recommendation_id']);
  assert.deepEqual(named, ['r1', 'r1', undefined, undefined]);
});

test('a full or blocked localStorage leaves the visitor in memory', async () => {
  const sent = answering(ok);
  const full = Object.assign(Object.create({ getItem: () => null, removeItem: () => {}, setItem: () => { throw new Error('full'); } }));
  const shop = new Client({ url: 'https://endcap.example', key: 'k' }, new LocalStorage(full as Storage));
  shop.track('view', { item_id: 'a' });
  shop.track('view', { item_id: 'b' });
  await pass(300);

  assert.equal(sent[0]?.events.length, 2);
  assert.equal(sent[0]?.events[0]?.['session_id'], sent[0]?.events[1]?.['session_id']);
});
