import { newId } from './ids.js';
import { settings, type Options, type Settings } from './options.js';
import { EventQueue } from './queue.js';
import { LocalStorage } from './storage.js';
import { Transport, type Network } from './transport.js';
import { Identity, type Visitor } from './visitor.js';

/** What is known of an event; further members are kept as its properties. */
export interface EventFields {
  item_id?: string | number;
  quantity?: number;
  price?: number;
  value?: number;
  order_id?: string | number;
  recommendation_id?: string;
  impression?: string[];
  [property: string]: unknown;
}

/** The types that Endcap knows; any other text is stored as it is. */
export type EventType =
  | 'view' | 'click' | 'add_to_cart' | 'remove_from_cart' | 'view_cart' | 'begin_checkout' | 'purchase' | 'refund'
  | 'wishlist' | 'search' | 'list_view' | 'impression' | 'page' | (string & {});

/** The events of one shop in one browser. */
export class Client {
  readonly settings: Settings;
  private readonly identity: Identity;
  private readonly queue: EventQueue;
  private readonly transport: Transport;
  private readonly listeners = new Set<() => void>();

  constructor(options: Options, private readonly storage: LocalStorage, private readonly network: Network) {
    this.settings = settings(options);
    this.identity = new Identity(storage);
    this.queue = new EventQueue(storage);
    this.transport = new Transport(this.settings.eventsUrl, this.settings.key, this.queue, storage, network);
    if (this.allowed) this.transport.schedule();
  }

  /** Whether events may be stored and sent. */
  get allowed(): boolean {
    return this.storage.get('consent') === (this.settings.required ? '1' : null);
  }

  /** The visitor, or undefined as long as nothing may be stored. */
  get visitor(): Visitor | undefined {
    return this.allowed ? this.identity.current() : undefined;
  }

  /** Record an event, and return its id; undefined without consent. Sending it again and again is the kit's work. */
  track(type: EventType, fields: EventFields = {}): string | undefined {
    if (!this.allowed) return undefined;
    const now = this.network.now();
    const { item_id, order_id, ...others } = fields;
    const event = {
      ...others,
      ...(item_id === undefined ? {} : { item_id: String(item_id) }),
      ...(order_id === undefined ? {} : { order_id: String(order_id) }),
      event_id: newId(now),
      event_type: type,
      timestamp: new Date(now).toISOString(),
      ...this.identity.current(),
    };
    this.queue.add(event);
    this.transport.schedule();
    return event.event_id;
  }

  /** Tie what this guest did, and does from now on, to the user who logged in. */
  identify(userId: string | number): void {
    if (this.allowed && this.identity.login(String(userId))) {
      this.track('identify');
      void this.transport.flush();
      this.changed();
    }
  }

  /** Begin anew after a logout: what follows belongs to another guest. */
  reset(): void {
    this.identity.logout();
    this.changed();
  }

  /** Allow storing and sending, or forbid it, which deletes everything that the kit keeps in the browser. */
  consent(granted: boolean): void {
    const before = this.allowed;
    if (!granted) this.storage.clear();
    if (granted !== !this.settings.required) this.storage.set('consent', granted ? '1' : '0');
    else this.storage.remove('consent');
    if (before !== this.allowed) this.changed();
  }

  /** Call `listener` whenever the visitor or the consent has changed; returns what ends that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Send what is queued without waiting for the answer, because the page ends. */
  leave(): void {
    if (this.allowed) this.transport.beacon();
  }

  /** Send what is queued now. */
  async flush(): Promise<void> {
    if (this.allowed) await this.transport.flush();
  }

  private changed(): void {
    this.listeners.forEach((listener) => listener());
  }
}
