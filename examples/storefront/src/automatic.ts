import type { Client, EventFields, EventType } from './client.js';
import { followDataLayer } from './datalayer.js';
import { shownProduct } from './products.js';
import { number } from './values.js';

/** Tracks pages, products and marked clicks by itself. */
export class AutomaticEvents {
  #viewed: unknown;

  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
}

  /** Begin: the page as it is, the data layer, clicks on elements with `data-endcap-track`, pages after a consent. */
  start(): void {
    const client = this.#client;
    const { automatic = true, dataLayer = 'dataLayer' } = client.settings;
    if (dataLayer) {
      const owner = window as unknown as Record<string, unknown[]>;
      followDataLayer((owner[dataLayer] ??= []), (type, fields) => this.#track(type, fields));
  
  }
    if (!automatic) return;
    addEventListener('click', ({ target }) => this.#clicked(target as Element), true);
    client.onChange((granted) => {
      if (granted) this.page();
    });
    whenParsed(() => this.page());
  }

  /** Track the page that is shown now, and its product if there is one. */
  page(): void {
    this.#viewed = undefined;
    this.#client.track('page', { path: location.pathname, title: document.title });
    const product = shownProduct();
    if (product) this.#track('view', { ...product });
  }

  /** Track an event, except for a second view of one product on one page: its data may name it twice. */
  #track(type: EventType, fields: EventFields): void {
    if (/^view(_item)?$/.test(type)) {
      if (this.#viewed === fields.item_id) return;
      this.#viewed = fields.item_id;
    }
    this.#client.track(type, fields);
  }

  #clicked(target: Element): void {
    const marked = target.closest<HTMLElement>('[data-endcap-track]')?.dataset;
    if (marked) {
      const [quantity, price] = [number(marked['endcapQuantity']), number(marked['endcapPrice'])];
      this.#client.track(marked['endcapTrack'] || 'click', { item_id: marked['endcapItem'], quantity, price });
    }
  }
}

/** Run when the document is parsed: then all of its elements and data are there. */
export function whenParsed(run: () => void): void {
  if (document.readyState === 'loading') addEventListener('DOMContentLoaded', run);
  else setTimeout(run);
}
