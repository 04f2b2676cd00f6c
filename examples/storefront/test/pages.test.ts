import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { Answer } from '../src/answers.js';
import { followDataLayer } from '../src/datalayer.js';
import { productsOf } from '../src/products.js';
import { follow, read } from '../src/stream.js';

test('schema.org data describes the product of a page', () => {
  const offer = { '@type': 'Offer', price: '12.50' };
  assert.deepEqual(productsOf({ '@type': 'Product', sku: 'p-1', offers: offer }), [{ item_id: 'p-1', price: 12.5 }]);
  assert.deepEqual(productsOf({ '@graph': [{ '@type': 'WebPage' }, { '@type': ['Product', 'Thing'], productID: 4, offers: [offer] }] }), [
    { item_id: '4', price: 12.5 },
  ]);
  assert.deepEqual(productsOf([{ '@type': 'https://schema.org/ProductGroup', productGroupID: 'g' }]), [
    { item_id: 'g', price: undefined },
  ]);
});

test('lists of products and broken data are no product page', () => {
  const list = { '@type': 'ItemList', itemListElement: [{ '@type': 'Product', sku: 'a' }] };
  for (const data of [list, { '@type': 'Product' }, { '@type': 'Person', sku: 'x' }, null, 'text', [null]]) {
    assert.deepEqual(productsOf(data), []);
  }
});

test('entries of Google Tag Manager and of gtag.js are tracked, before and after the start', () => {
  const tracked: unknown[] = [];
  const layer: unknown[] = [{ event: 'view_item', ecommerce: { currency: 'EUR', items: [{ item_id: 'a', price: '3.5' }] } }];
  const gtag = (...entry: unknown[]) => layer.push(Object.assign({}, entry));
  followDataLayer(layer, (type, fields) => tracked.push([type, JSON.parse(JSON.stringify(fields))]));
  gtag('event', 'purchase', { transaction_id: 'o-1', items: [{ item_id: 'a', quantity: 2 }, { id: 'b', price: 'free' }] });
  layer.push({ event: 'search', search_term: 'tea' }, { 'gtm.start': 1, event: 'gtm.js' }, null, { ecommerce: null }, ['config', 'G-1']);

  assert.deepEqual(tracked, [
    ['view_item', { item_id: 'a', price: 3.5, currency: 'EUR' }],
    ['purchase', { item_id: 'a', quantity: 2, order_id: 'o-1' }],
    ['purchase', { item_id: 'b', order_id: 'o-1' }],
    ['search', { query: 'tea' }],
  ]);
  assert.equal(layer.length, 7);
});

test('a stream is read event by event, however it is cut', async () => {
  const text = 'retry: 2000\n\nid: 1\nevent: recommendations\ndata: {"placement":"hömé"}\n\n: heartbeat\n\ndata: {"placement":"b"}\n\n';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 7, 1_000]) {
    const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.slice(at * size, (at + 1) * size));
    const shown: Answer[] = [];
    await read(new Blob(parts).stream(), (answer) => shown.push(answer));
    assert.deepEqual(shown.map(({ placement }) => placement), ['hömé', 'b']);
  }
});

test('a refused stream ends with one warning, and a lost one is opened anew', async () => {
  for (const [status, requests, warnings] of [[401, 1, 1], [403, 1, 1], [429, 3, 0], [503, 3, 0]] as const) {
    mock.timers.enable({ apis: ['setTimeout'] });
    const warned = mock.method(console, 'warn', () => undefined);
    const page = new AbortController();
    let sent = 0;
    globalThis.fetch = async () => {
      if (++sent === 3) page.abort();
      return new Response('{"detail":"This key is not valid."}', { status });
    };
    const ended = follow('https://endcap.example/stream', {}, page.signal, () => undefined);
    for (let turn = 0; turn < 4; turn++) {
      await new Promise(setImmediate);
      mock.timers.tick(60_000);
    }
    await ended;

    assert.deepEqual([sent, warned.mock.callCount()], [requests, warnings], String(status));
    if (warnings) assert.match(String(warned.mock.calls[0]?.arguments[0]), /not valid/);
    mock.reset();
  }
});
