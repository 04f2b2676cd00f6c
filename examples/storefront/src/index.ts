import { Client, type EventFields, type EventType } from './client.js';
import type { Options } from './options.js';
import { LocalStorage, pageStorage } from './storage.js';

export { Client, type EventFields, type EventType } from './client.js';
export type { Options } from './options.js';
export type { Visitor } from './visitor.js';

let client: Client | undefined;

function started(): Client {
  if (!client) throw new Error('endcap: call endcap.init({url, key}) first');
  return client;
}

/** Set up the kit, once per page; a second call returns the first client. */
export function init(options: Options): Client {
  if (client) return client;
  const ready = new Client(options, new LocalStorage(pageStorage()), {
    fetch: (...request) => fetch(...request),
    beacon: (url, body) => navigator.sendBeacon(url, body),
    now: Date.now,
    later: (run, milliseconds) => setTimeout(run, milliseconds),
  });
  client = ready;
  addEventListener('pagehide', () => ready.leave());
  addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && ready.leave());
  addEventListener('online', () => void ready.flush());
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
/** Send what is queued now. */
export const flush = (): Promise<void> => started().flush();
