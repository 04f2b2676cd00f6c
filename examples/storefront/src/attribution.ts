import type { EventFields } from './client.js';
import type { LocalStorage } from './storage.js';

/** Milliseconds in which what follows a click belongs to it: the server's default of 7 days. */
const WINDOW = 7 * 86_400_000;
const START = 'click.';

/** Remembers which recommendation an item was clicked in, so that what the visitor does with it then names it. */
export class Attribution {
  readonly #storage: LocalStorage;

  constructor(storage: LocalStorage) {
    this.#storage = storage;
}

  /** Return the recommendation id of an event, and remember that of a click. */
  of(type: string, { item_id, recommendation_id }: EventFields, now: number): string | undefined {
    const storage = this.#storage;
    if (type === 'click' && recommendation_id) {
      storage.names(START).forEach((name) => this.#read(name, now) || storage.remove(name));
      storage.set(START + item_id, `${now} ${recommendation_id}`);
  
  }
    return recommendation_id ?? this.#read(START + item_id, now);
  }

  #read(name: string, now: number): string | undefined {
    const [at, recommendation_id] = (this.#storage.get(name) ?? '').split(' ');
    return now - Number(at) < WINDOW ? recommendation_id : undefined;
  }
}
