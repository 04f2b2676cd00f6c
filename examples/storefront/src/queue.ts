import type { LocalStorage } from './storage.js';

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
  constructor(private readonly storage: LocalStorage) {}

  /** Add an event; beyond the bound the oldest one is dropped. */
  add(event: QueuedEvent): void {
    this.storage.set(START + event.event_id, JSON.stringify(event));
    const names = this.storage.names(START);
    names.slice(0, Math.max(0, names.length - MAX_EVENTS)).forEach((name) => this.storage.remove(name));
  }

  /** Return the oldest events, at most `limit`; entries that are too old or damaged are dropped. */
  oldest(limit: number, now = Date.now()): QueuedEvent[] {
    const events: QueuedEvent[] = [];
    for (const name of this.storage.names(START)) {
      if (events.length === limit) break;
      const event = parse(this.storage.get(name));
      if (event && now - Date.parse(event.timestamp) < MAX_AGE) events.push(event);
      else this.storage.remove(name);
    }
    return events;
  }

  /** Delete events that were confirmed, or can never be accepted. */
  remove(events: readonly QueuedEvent[]): void {
    events.forEach((event) => this.storage.remove(START + event.event_id));
  }
}

function parse(text: string | null): QueuedEvent | undefined {
  try {
    return (JSON.parse(text ?? '') as QueuedEvent | null) ?? undefined;
  } catch {
    return undefined;
  }
}
