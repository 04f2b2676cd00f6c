import type { LocalStorage } from './storage.js';
import { parsed } from './values.js';

/** An event as it is sent to `POST /v1/events`. */
export interface QueuedEvent {
  event_id: string;
  event_type: string;
  timestamp: string;
  [member: string]: unknown;
}

/** Events that wait in a browser, at most. The oldest leave first. Arbitrary; about 300 KB of localStorage. */
export const MAX_EVENTS = 500;
/** Milliseconds after which an event that was never delivered is dropped: a week. Arbitrary. */
export const MAX_AGE = 7 * 86_400_000;

const START = 'event.';

/**
 * Events that the server has not confirmed yet, oldest first. Each is an entry of its own in localStorage, so that tabs
 * do not overwrite each other's; its name begins with its id, which begins with its time.
 */
export class EventQueue {
  readonly #storage: LocalStorage;

  constructor(storage: LocalStorage) {
    this.#storage = storage;
}

  /** Add an event; beyond the bound the oldest one is dropped. */
  add(event: QueuedEvent): void {
    this.#storage.set(START + event.event_id, JSON.stringify(event));
    const names = this.#storage.names(START);
    names.slice(0, -MAX_EVENTS).forEach((name) => this.#storage.remove(name));
  }

  /** Return the oldest events, at most `limit`; entries that are too old or damaged are dropped. */
  oldest(limit: number): QueuedEvent[] {
    const events: QueuedEvent[] = [];
    for (const name of this.#storage.names(START)) {
      if (events.length === limit) break;
      const event = parsed(this.#storage.get(name)) as QueuedEvent | undefined;
      if (event && Date.now() - Date.parse(event.timestamp) < MAX_AGE) events.push(event);
      else this.#storage.remove(name);
    }
    return events;
  }

  /** Delete events that were confirmed, or can never be accepted. */
  remove(events: readonly QueuedEvent[]): void {
    events.forEach((event) => this.#storage.remove(START + event.event_id));
  }
}
