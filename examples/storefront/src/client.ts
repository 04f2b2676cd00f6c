import { Attribution } from './attribution.js';
import { newId } from './ids.js';
import { notify } from './notices.js';
import { settings, type Options, type Settings } from './options.js';
import { EventQueue } from './queue.js';
import { LocalStorage } from './storage.js';
import { Transport } from './transport.js';
import { text } from './values.js';
import { Identity, type Visitor } from './visitor.js';

/** What is known of an event; further members are kept as its properties. */
export interface EventFields {
  item_id?: string | number | undefined;
  quantity?: number | undefined;
  price?: number | undefined;
  value?: number | undefined;
  order_id?: string | number | undefined;
  recommendation_id?: string | undefined;
  impression?: string[] | undefined;
  [property: string]: unknown;
}

/** The types that Endcap knows; any other text is stored as it is. */
export type EventType =
  | 'view' | 'click' | 'add_to_cart' | 'remove_from_cart' | 'view_cart' | 'begin_checkout' | 'purchase' | 'refund'
  | 'wishlist' | 'search' | 'list_view' | 'impression' | 'page' | (string & {});

/** Hears of a change; `granted` if that was the visitor's consent. */
type Listener = (granted: boolean) => void;

/** The events of one shop in one browser. */
export class Client {
  readonly settings: Settings;
  readonly #identity: Identity;
  readonly #attribution: Attribution;
  readonly #queue: EventQueue;
  readonly #transport: Transport;
  readonly #listeners: Listener[] = [];

  readonly #storage: LocalStorage;

  constructor(options: Options, storage: LocalStorage) {
    this.#storage = storage;
    this.settings = settings(options);
    this.#identity = new Identity(storage);
    this.#attribution = new Attribution(storage);
    this.#queue = new EventQueue(storage);
    this.#transport = new Transport(this.settings, this.#queue, storage);
    if (this.allowed) this.#transport.schedule();
  }

  /** Whether events may be stored and sent. */
  get allowed(): boolean {
    return this.#storage.get('consent') === (this.#required ? '1' : undefined);
  }

  /** The visitor, or undefined as long as nothing may be stored. */
  get visitor(): Visitor | undefined {
    return this.allowed ? this.#identity.current() : undefined;
  }

  /** Record an event, and return its id; undefined without consent. Sending it again and again is the kit's work. */
  track(type: EventType, fields: EventFields = {}): string | undefined {
    if (!this.allowed) return undefined;
    const now = Date.now();
    const event = {
      ...fields,
      item_id: text(fields.item_id),
      order_id: text(fields.order_id),
      recommendation_id: this.#attribution.of(type, fields, now),
      event_id: newId(now),
      event_type: type,
      timestamp: new Date(now).toISOString(),
      ...this.#identity.current(),
    };
    this.#queue.add(event);
    notify('event', event);
    this.#transport.schedule();
    return event.event_id;
  }

  /** Tie what this guest did, and does from now on, to the user who logged in. */
  identify(userId: string | number): void {
    if (this.allowed && this.#identity.login(String(userId))) {
      this.track('identify');
      void this.#transport.flush();
      this.#changed();
    }
  }

  /** Begin anew after a logout: what follows belongs to another guest. */
  reset(): void {
    this.#identity.logout();
    this.#changed();
  }

  /** Allow storing and sending, or forbid it, which deletes everything that the kit keeps in the browser. */
  consent(granted: boolean): void {
    const before = this.allowed;
    if (!granted) this.#storage.clear();
    if (granted === this.#required) this.#storage.set('consent', granted ? '1' : '0');
    else this.#storage.remove('consent');
    if (before !== this.allowed) this.#changed(granted);
  }

  /** Call `listener` whenever the visitor has changed, or has given or revoked the consent. */
  onChange(listener: Listener): void {
    this.#listeners.push(listener);
  }

  /** Send what is queued without waiting for the answer, because the page ends. */
  leave(): void {
    if (this.allowed) this.#transport.beacon();
  }

  /** Send what is queued now. */
  async flush(): Promise<void> {
    if (this.allowed) await this.#transport.flush();
  }

  get #required(): boolean {
    return this.settings.consent === 'required';
  }

  #changed(granted = false): void {
    this.#listeners.forEach((listener) => listener(granted));
  }
}
