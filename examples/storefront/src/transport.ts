import { notify, warn } from './notices.js';
import type { Settings } from './options.js';
import type { EventQueue, QueuedEvent } from './queue.js';
import type { LocalStorage } from './storage.js';

/** Events of one request: the server takes 2,500, but a page should not send long bodies. Arbitrary. */
const BATCH = 50;
/** Characters of a request that may outlive its page: browsers refuse more than 64 KiB in total. */
const BEACON_SIZE = 60_000;
/** Milliseconds in which events are collected for one request. Arbitrary; a page should react within a second. */
const GATHER = 250;
/** Milliseconds of the first and of the longest pause after a failure. Arbitrary. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 300_000;

/** Sends queued events in batches, and tries again with the same ids until the server has answered. */
export class Transport {
  #failures = 0;
  #retryAt = 0;
  #batch = BATCH;
  #scheduled = false;
  #sending = false;
  readonly #settings: Settings;
  readonly #queue: EventQueue;
  readonly #storage: LocalStorage;

  constructor(settings: Settings, queue: EventQueue, storage: LocalStorage) {
    this.#settings = settings;
    this.#queue = queue;
    this.#storage = storage;
  }

  /** Send soon: what is queued within a moment goes in one request. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => {
      this.#scheduled = false;
      void this.#sendAll();
    }, Math.max(GATHER, this.#pause()));
  }

  /** Send all queued events now, also after network errors, unless the server asked for a pause. */
  async flush(): Promise<void> {
    this.#retryAt = 0;
    await this.#sendAll();
  }

  /**
   * Send what is queued while the page ends. Nobody reads the answer to a beacon, so the events stay queued, and the
   * next page sends them again with the same ids.
   */
  beacon(): void {
    const { eventsUrl, key } = this.#settings;
    const events = this.#queue.oldest(BATCH);
    while (serialized(events).length > BEACON_SIZE) events.pop();
    if (events.length) {
      navigator.sendBeacon(`${eventsUrl}/v1/events${key ? `?key=${encodeURIComponent(key)}` : ''}`, serialized(events));
    }
  }

  async #sendAll(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    let events: QueuedEvent[];
    while (this.#pause() <= 0 && (events = this.#queue.oldest(this.#batch)).length) await this.#send(events);
    this.#sending = false;
    // Also when a timer ran a moment too early.
    if (this.#pause() > 0) this.schedule();
  }

  /** Return the milliseconds to wait before the next request; all tabs keep a pause that the server asked for. */
  #pause(): number {
    return Math.max(this.#retryAt, Number(this.#storage.get('pause') ?? 0)) - Date.now();
  }

  async #send(events: QueuedEvent[]): Promise<void> {
    const { eventsUrl, key } = this.#settings;
    const body = serialized(events);
    const began = Date.now();
    const keepalive = body.length < BEACON_SIZE;
    const answer = await fetch(`${eventsUrl}/v1/events`, { method: 'POST', headers: headersOf(key), body, keepalive }).catch(
      () => undefined,
    );
    const status = answer?.status;
    notify('sent', { events, status, milliseconds: Date.now() - began });
    if (answer?.ok || status === 400) {
      this.#failures = 0;
      this.#batch = BATCH;
      this.#queue.remove(events);
      await report(answer as Response);
    } else if (status === 413) {
      // Too large together: send fewer; one that is too large by itself will never be accepted.
      if (events.length === 1) this.#queue.remove(events);
      this.#batch = events.length >> 1 || 1;
    } else {
      const requested = Number(answer?.headers.get('retry-after')) * 1000;
      if (requested) this.#storage.set('pause', String(Date.now() + requested));
      const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures++);
      this.#retryAt = Date.now() + pause * (1 + Math.random() / 4);
    }
  }
}

/**
 * Return the body of a request. The line of an order has no id of its own here: the server makes it of the order and the
 * item, so that the page and the shop's order count once.
 */
function serialized(events: readonly QueuedEvent[]): string {
  return JSON.stringify(
    events.map(({ event_id, ...event }) =>
      event.event_type === 'purchase' && event['order_id'] && event['item_id'] ? event : { event_id, ...event },
    ),
  );
}

/** Return the headers of a request with a JSON body. */
export function headersOf(key: string | undefined): Record<string, string> {
  return { 'content-type': 'application/json', ...(key && { 'x-api-key': key }) };
}

/** Print why the server rejected events: the developer of the page must know, and sending again would not help. */
async function report(answer: Response): Promise<void> {
  const { results } = (await answer.json().catch(() => ({}))) as { results?: { reason?: string }[] };
  results?.forEach(({ reason }) => warn(reason));
}
