import type { Answer } from './answers.js';
import { warn } from './notices.js';

/** Milliseconds before a stream is opened anew, and the longest such pause. The first is what the server asks for. */
const RECONNECT = 2_000;
const LONGEST = 60_000;

/**
 * Follow a placement's stream of server-sent events until `signal` ends it, over lost connections. A refusal ends it, such
 * as that of a key that was revoked; what the page shows stays. The stream is read by fetch, because `EventSource` sends no
 * headers and a key in an address would be written into logs.
 */
export async function follow(url: string, headers: HeadersInit, signal: AbortSignal, show: (answer: Answer) => void): Promise<void> {
  for (let pause = RECONNECT; !signal.aborted; pause = Math.min(LONGEST, pause * 2)) {
    try {
      const response = await fetch(url, { headers: { ...headers, accept: 'text/event-stream' }, signal });
      if (/^4(?!29)/.test(`${response.status}`)) return warn(await response.text());
      // The body of an error of the server has no events.
      await read(response.body as ReadableStream, (answer) => {
        pause = RECONNECT / 2;
        show(answer);
      });
    } catch {
      // The connection was lost; `signal` says whether it was the page that ended it.
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Read the data of each event of a stream (HTML standard, 9.2). The server's have one line of data each. */
export async function read(body: ReadableStream<Uint8Array>, show: (answer: Answer) => void): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const events = (text + part.value).split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      const data = /^data:(.*)$/m.exec(event)?.[1];
      if (data) show(JSON.parse(data) as Answer);
    }
  }
}
