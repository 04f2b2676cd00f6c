let sequence = 0;

/** Return a random id that begins with the time: ids of a page sort as they were made. */
export function newId(now = Date.now()): string {
  const digits = (number: number) => number.toString(36).padStart(9, '0');
  return [now, sequence++, ...crypto.getRandomValues(new Uint32Array(3))].map(digits).join('');
}
