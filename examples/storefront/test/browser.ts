/** What unit tests need of a browser. */

/** Return an empty localStorage, whose own keys are those that it holds. */
export function emptyStorage(): Storage {
  const methods = {
    getItem(this: Record<string, string>, key: string) {
      return this[key] ?? null;
    },
    setItem(this: Record<string, string>, key: string, value: string) {
      this[key] = value;
    },
    removeItem(this: Record<string, string>, key: string) {
      delete this[key];
    },
  };
  return Object.create(methods) as Storage;
}

/** A request that the kit sent. */
export interface Sent {
  url: string;
  headers: Record<string, string>;
  events: Record<string, unknown>[];
}

/** Answer fetch with each of the answers in turn, the last of them for ever; return the requests. */
export function answering(...answers: (() => Response)[]): Sent[] {
  const sent: Sent[] = [];
  globalThis.fetch = (async (url: string, request: RequestInit) => {
    const answer = answers[Math.min(sent.length, answers.length - 1)];
    sent.push({
      url,
      headers: request.headers as Record<string, string>,
      events: JSON.parse(request.body as string) as Record<string, unknown>[],
    });
    return answer?.() ?? new Response('{}');
  }) as typeof fetch;
  return sent;
}

/** Let everything that waits for an answer go on. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
