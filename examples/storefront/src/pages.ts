import { COLUMNS, type Answer, type PlacementQuery } from './answers.js';
import { whenParsed } from './automatic.js';
import type { Client } from './client.js';
import { notify, warn } from './notices.js';
import { follow } from './stream.js';
import { headersOf } from './transport.js';

/** An element that requests the items of a placement, and shows them. */
export interface PlacementView {
  query(): PlacementQuery;
  explains: boolean;
  /** Show an answer; without one there is none, and the page's own content stays. */
  show(answer?: Answer): void;
}

/** Placements of one request: the server's limit. */
const MAX_PLACEMENTS = 10;
/** Milliseconds after which a page shows its own content. Arbitrary; a visitor would not wait longer. */
const PATIENCE = 4_000;

/** Requests the items of all elements of a page together, so that no item is shown twice. */
export class Pages {
  readonly #client: Client;
  #waiting = new Set<PlacementView>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Request the items of an element, together with those that are requested at the same time. */
  request(view: PlacementView): void {
    if (!this.#waiting.size) {
      whenParsed(() => {
        const views = [...this.#waiting];
        this.#waiting.clear();
        while (views.length) void this.#load(views.splice(0, MAX_PLACEMENTS));
      });
    }
    this.#waiting.add(view);
  }

  /** Follow the changes of an element's placement until `signal` ends that. */
  follow(view: PlacementView, signal: AbortSignal): void {
    void follow(this.#address(view, '/stream'), this.#headers(), signal, (answer) => this.#show(view, answer));
  }

  #show(view: PlacementView, answer?: Answer, milliseconds?: number): void {
    const url = this.#address(view);
    if (answer) notify('answer', { placement: answer.placement, answer, milliseconds, url });
    view.show(answer);
  }

  /** Return the address of one placement for the visitor. */
  #address(view: PlacementView, end = ''): string {
    const { placement, ...query } = view.query();
    const fields = Object.entries({ ...query, ...this.#fields([view]) }).filter(([, value]) => value);
    return this.#url(`placements/${placement}${end}?${new URLSearchParams(fields as string[][])}`);
  }

  async #load(views: PlacementView[]): Promise<void> {
    const began = performance.now();
    const response = this.#client.visitor && (await this.#post(views).catch(() => undefined));
    if (response?.status === 404 && views.length > 1) {
      // One of the placements does not exist: the others are requested alone.
      views.forEach((view) => void this.#load([view]));
      return;
    }
    const body = (await response?.json().catch(() => undefined)) as { placements?: Answer[]; detail?: string } | undefined;
    warn(body?.detail);
    views.forEach((view, at) => this.#show(view, body?.placements?.[at], performance.now() - began));
  }

  #post(views: PlacementView[]): Promise<Response> {
    return fetch(this.#url('pages'), {
      method: 'POST',
      headers: this.#headers(),
      body: JSON.stringify({ ...this.#fields(views), placements: views.map((view) => view.query()) }),
      signal: AbortSignal.timeout(PATIENCE),
    });
  }

  #fields(views: PlacementView[]): Record<string, unknown> {
    return { ...this.#client.visitor, explain: views.some((view) => view.explains), columns: COLUMNS };
  }

  #url(path: string): string {
    return `${this.#client.settings.url}/api/v1/${path}`;
  }

  #headers(): Record<string, string> {
    const { key, readKey = key } = this.#client.settings;
    return headersOf(readKey);
  }
}
