/** What the kit keeps in the browser: strings in the page's own localStorage, in memory where that is refused. */

const PREFIX = 'endcap.';

/** Strings by name, in localStorage; a full, blocked or missing one leaves a value in memory until the page ends. */
export class LocalStorage {
  private readonly memory = new Map<string, string>();

  constructor(private readonly store: Storage | undefined) {}

  /** Return the value of a name, or null. */
  get(name: string): string | null {
    return this.memory.get(name) ?? this.attempt((store) => store.getItem(PREFIX + name)) ?? null;
  }

  /** Keep a value under a name. */
  set(name: string, value: string): void {
    this.memory.set(name, value);
    if (this.attempt((store) => (store.setItem(PREFIX + name, value), true))) {
      this.memory.delete(name);
    }
  }

  /** Delete a name. */
  remove(name: string): void {
    this.memory.delete(name);
    this.attempt((store) => store.removeItem(PREFIX + name));
  }

  /** Return the names that begin with `start`, in ascending order; all tabs of the shop see the same ones. */
  names(start = ''): string[] {
    const stored = this.attempt((store) => Array.from({ length: store.length }, (_, at) => store.key(at) ?? ''));
    const own = (stored ?? []).filter((key) => key.startsWith(PREFIX)).map((key) => key.slice(PREFIX.length));
    return [...new Set([...own, ...this.memory.keys()])].filter((name) => name.startsWith(start)).sort();
  }

  /** Delete everything of the kit. */
  clear(): void {
    this.names().forEach((name) => this.remove(name));
  }

  private attempt<Value>(use: (store: Storage) => Value): Value | undefined {
    try {
      return this.store && use(this.store);
    } catch {
      return undefined;
    }
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
