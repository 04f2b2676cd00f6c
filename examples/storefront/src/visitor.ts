import { newId } from './ids.js';
import type { LocalStorage } from './storage.js';

/** Who the events of this browser belong to: a guest (`session_id`), and a user (`user_id`) after login. */
export interface Visitor {
  session_id: string;
  user_id?: string | undefined;
}

/** Keeps the ids of the visitor in the browser. */
export class Identity {
  readonly #storage: LocalStorage;

  constructor(storage: LocalStorage) {
    this.#storage = storage;
}

  /** Return the visitor; a new guest gets an id. */
  current(): Visitor {
    const session_id = this.#storage.get('session') ?? newId();
    this.#storage.set('session', session_id);
    const user_id = this.#storage.get('user');
    return { session_id, user_id };
  }

  /**
   * Remember the user who logged in, and return whether that is news. Another user than before gets a new guest id,
   * because a guest's history belongs to the first user who logs in.
   */
  login(userId: string): boolean {
    const known = this.#storage.get('user');
    if (known === userId) return false;
    if (known) this.logout();
    this.#storage.set('user', userId);
    return true;
  }

  /** Forget the user and the guest: what follows belongs to somebody else. */
  logout(): void {
    this.#storage.remove('user');
    this.#storage.remove('session');
  }
}
