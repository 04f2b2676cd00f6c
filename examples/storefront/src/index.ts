import { AutomaticEvents } from './automatic.js';
import { Client, type EventFields, type EventType } from './client.js';
import { connect, define } from './element.js';
import type { Options } from './options.js';
import { Pages } from './pages.js';
import { LocalStorage, pageStorage } from './storage.js';

export { Client, type EventFields, type EventType } from './client.js';
export { Recommendations } from './element.js';
export type { Answer, Item } from './answers.js';
export type { Options } from './options.js';
export type { Visitor } from './visitor.js';

let client: Client | undefined;
let automatic: AutomaticEvents | undefined;

define();

function started(): Client {
  if (!client) throw new Error('endcap: init first');
  return client;
}

/** Set up the kit, once per page; a second call returns the first client. */
export function init(options: Options): Client {
  if (client) return client;
  const ready = (client = new Client(options, new LocalStorage(pageStorage())));
  addEventListener('pagehide', () => ready.leave());
  addEventListener('visibilitychange', () => document.hidden && ready.leave());
  addEventListener('online', () => void ready.flush());
  automatic = new AutomaticEvents(ready);
  automatic.start();
  connect(ready, new Pages(ready));
  return ready;
}

/** Record an event of the visitor. */
export const track = (type: EventType, fields?: EventFields): string | undefined => started().track(type, fields);
/** Tie the guest's history to the user who logged in. */
export const identify = (userId: string | number): void => started().identify(userId);
/** Begin anew after a logout. */
export const reset = (): void => started().reset();
/** Allow or forbid that the kit stores and sends anything. */
export const consent = (granted: boolean): void => started().consent(granted);
/** Track the page that is shown now: call it after a change of the route without a new document. */
export const page = (): void => automatic?.page();
/** Send what is queued now. */
export const flush = (): Promise<void> => started().flush();
