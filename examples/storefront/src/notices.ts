/** Tell the page what the kit does: `endcap:event`, `endcap:sent` and `endcap:answer` are events of the window. */
export function notify(name: 'event' | 'sent' | 'answer', detail: unknown): void {
  globalThis.dispatchEvent?.(new CustomEvent(`endcap:${name}`, { detail }));
}

/** Print why the server refused something: the developer of the page must know. */
export function warn(reason: string | undefined): void {
  if (reason) console.warn(`endcap: ${reason}`);
}
