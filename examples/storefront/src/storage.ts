/** What the kit keeps in the browser: strings in the page's own localStorage, in memory where that is refused. */

const PREFIX = 'endcap.';

/** Strings by name, in localStorage; a full, blocked or missing one leaves a value in memory until the page ends. */
export class LocalStorage {
  readonly #memory: Record<string, string> = {};
  readonly #store: Storage | undefined;

  constructor(store: Storage | undefined) {
    this.#store = store;
  }

  /** Return the value of a name, or undefined. */
  get(name: string): string | undefined {
    return this.#memory[name] ?? this.#store?.getItem(PREFIX + name) ?? undefined;
  }

  /** Keep a value under a name. */
  set(name: string, value: string): void {
    this.remove(name);
    try {
      (this.#store as Storage).setItem(PREFIX + name, value);
    } catch {
      this.#memory[name] = value;
    }
  }

  /** Delete a name. */
  remove(name: string): void {
    delete this.#memory[name];
    this.#store?.removeItem(PREFIX + name);
  }

  /** Return the names that begin with `start`, in ascending order; all tabs of the shop see the same ones. */
  names(start = ''): string[] {
    const stored = Object.keys(this.#store ?? {}).filter((key) => key.startsWith(PREFIX));
    const names = [...stored.map((key) => key.slice(PREFIX.length)), ...Object.keys(this.#memory)];
    return names.filter((name) => name.startsWith(start)).sort();
  }

  /** Delete everything of the kit. */
  clear(): void {
    this.names().forEach((name) => this.remove(name));
  }
}

/** Return the page's localStorage; undefined where the browser blocks it. */
export function pageStorage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}
