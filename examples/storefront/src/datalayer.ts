import type { EventFields, EventType } from './client.js';
import { number } from './values.js';

type Track = (type: EventType, fields: EventFields) => unknown;
type Fields = Record<string, unknown>;

/**
 * Track the e-commerce events of a data layer, those that it has and those to come: entries of Google Tag Manager
 * (`{event, ecommerce}`) and of gtag.js (`['event', name, parameters]`). The server knows the names of GA4.
 */
export function followDataLayer(layer: unknown[], track: Track): void {
  const push = layer.push;
  const follow = (entry: unknown) => trackEntry(entry, track);
  layer.forEach(follow);
  layer.push = (...entries) => {
    entries.forEach(follow);
    return push.apply(layer, entries);
  };
}

/** Track what one entry of a data layer says of products and searches; other entries are ignored. */
export function trackEntry(entry: unknown, track: Track): void {
  const fields = Object(entry) as Fields;
  const [type, commerce] = fields[0] === 'event' ? [fields[1], fields[2]] : [fields['event'], fields['ecommerce'] ?? fields];
  const { items, transaction_id, currency, search_term } = Object(commerce) as Fields;
  if (typeof type !== 'string') return;
  if (search_term) track('search', { query: search_term });
  for (const item of Array.isArray(items) ? (items as Fields[]) : []) {
    const item_id = (item['item_id'] ?? item['id']) as string | undefined;
    const [price, quantity] = [number(item['price']), number(item['quantity'])];
    if (item_id) track(type, { item_id, price, quantity, currency, order_id: transaction_id as string | undefined });
  }
}
