import type { EventQueue, QueuedEvent } from './queue.js';
import type { LocalStorage } from './storage.js';

/** What the transport needs of a browser; tests pass their own. */
export interface Network {
  fetch: typeof fetch;
  beacon?: ((url: string, body: string) => boolean) | undefined;
  now: () => number;
  later: (run: () => void, milliseconds: number) => unknown;
}

/** Events of one request: the server takes 2,500, but a page should not send long bodies. Arbitrary. */
const BATCH = 50;
/** Bytes of a beacon: browsers refuse more than 64 KiB in total. */
const BEACON_BYTES = 60_000;
/** Milliseconds in which events are collected for one request. Arbitrary; a page should react within a second. */
const GATHER = 250;
/** Milliseconds of the first and of the longest pause after a failure. Arbitrary. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 300_000;

/** Sends queued events in batches, and tries again with the same ids until the server has answered. */
export class Transport {
  private failures = 0;
  private batch = BATCH;
  private scheduled = false;
  private sending = false;

  constructor(
    private readonly url: string,
    private readonly key: string | undefined,
    private readonly queue: EventQueue,
    private readonly storage: LocalStorage,
    private readonly network: Network,
  ) {}

  /** Send soon: what is queued within a moment goes in one request. */
  schedule(delay = GATHER): void {
    if (this.scheduled) return;
    this.scheduled = true;
    const pause = Number(this.storage.get('pause')) - this.network.now();
    this.network.later(() => {
      this.scheduled = false;
      void this.flush();
    }, Math.max(delay, pause));
  }

  /** Send all queued events now, batch by batch, unless the server asked for a pause. */
  async flush(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    try {
      while (Number(this.storage.get('pause')) <= this.network.now()) {
        const events = this.queue.oldest(this.batch, this.network.now());
        if (!events.length) return;
        await this.send(events);
      }
    } finally {
      this.sending = false;
    }
    this.schedule();
  }

  /**
   * Send what is queued while the page ends. Nobody reads the answer to a beacon, so the events stay queued, and the
   * next page sends them again with the same ids.
   */
  beacon(): void {
    const events = this.queue.oldest(BATCH, this.network.now());
    while (events.length && JSON.stringify(events).length > BEACON_BYTES) events.pop();
    const query = this.key ? `?key=${encodeURIComponent(this.key)}` : '';
    if (events.length) this.network.beacon?.(`${this.url}/v1/events${query}`, JSON.stringify(events));
  }

  private async send(events: QueuedEvent[]): Promise<void> {
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (this.key) headers['x-api-key'] = this.key;
    const body = JSON.stringify(events);
    const answer = await this.network
      .fetch(`${this.url}/v1/events`, { method: 'POST', headers, body, keepalive: body.length < BEACON_BYTES })
      .catch(() => undefined);
    if (answer?.ok || answer?.status === 400) {
      this.failures = 0;
      this.batch = BATCH;
      this.storage.remove('pause');
      this.queue.remove(events);
      await report(answer);
    } else if (answer?.status === 413) {
      // Too large together: send fewer; one that is too large by itself will never be accepted.
      if (events.length === 1) this.queue.remove(events);
      this.batch = Math.max(1, events.length >> 1);
    } else {
      const wait = retryAfter(answer, this.network.now()) ?? Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.failures++);
      this.storage.set('pause', String(this.network.now() + wait * (1 + Math.random() / 4)));
    }
  }
}

/** Print why the server rejected events: the developer of the page must know, and sending again would not help. */
async function report(answer: Response): Promise<void> {
  const { results } = (await answer.json().catch(() => ({}))) as { results?: { status: string; reason?: string }[] };
  results?.filter(({ status }) => status === 'rejected').forEach(({ reason }) => console.warn(`endcap: ${reason}`));
}

/** Return the milliseconds that an answer asks to wait, by seconds or a date (RFC 9110, 10.2.3). */
function retryAfter(answer: Response | undefined, now: number): number | undefined {
  const value = answer?.headers.get('retry-after');
  if (!value) return undefined;
  const milliseconds = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(milliseconds) ? Math.max(0, milliseconds) : undefined;
}
