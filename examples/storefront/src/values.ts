/** Return the value of a JSON text; undefined for a text that is none. */
export function parsed(text: string | null | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/** Return a number or the number that a text writes; undefined for anything else. */
export function number(value: unknown): number | undefined {
  const amount = parseFloat(value as string);
  return Number.isFinite(amount) ? amount : undefined;
}

/** Return an id as a text; undefined for none. */
export function text(id: unknown): string | undefined {
  return id === undefined || id === null || id === '' ? undefined : String(id);
}
