/** Milliseconds that an item must be half visible, as the Media Rating Council defines a viewable impression. */
const VIEWABLE = 1_000;
/** Milliseconds in which items are gathered for one event. Arbitrary. */
const GATHER = 100;

/**
 * Report the items that are half visible for a second, each once, by the `data-item` of their elements. Returns what
 * ends that; items that were seen by then are reported.
 */
export function watchImpressions(elements: Element[], report: (itemIds: string[]) => void): () => void {
  const timers = new Map<Element, ReturnType<typeof setTimeout>>();
  let seen: string[] = [];

  const flush = () => {
    if (seen.length) report(seen);
    seen = [];
  };
  const see = (element: Element) => {
    if (document.hidden) return;
    observer.unobserve(element);
    if (!seen.length) setTimeout(flush, GATHER);
    seen.push((element as HTMLElement).dataset['item'] as string);
  };
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, intersectionRatio } of entries) {
        clearTimeout(timers.get(target));
        if (intersectionRatio >= 0.5) timers.set(target, setTimeout(see, VIEWABLE, target));
      }
    },
    { threshold: 0.5 },
  );
  elements.forEach((element) => observer.observe(element));
  return () => {
    observer.disconnect();
    timers.forEach(clearTimeout);
    flush();
  };
}
