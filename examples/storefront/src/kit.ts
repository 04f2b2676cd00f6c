/** The script of a page: `<script src="/kit.js" data-key="…" data-url="…">` starts it; `endcap` is then a global. */
import { init } from './index.js';
import type { Options } from './options.js';

export * from './index.js';

const script = document.currentScript as HTMLScriptElement | null;
if (script && !script.hasAttribute('data-manual')) {
  const { url, eventsUrl, key, readKey, consent, automatic, dataLayer } = script.dataset;
  init({
    url: url ?? new URL('.', script.src).href,
    ...(eventsUrl && { eventsUrl }),
    ...(key && { key }),
    ...(readKey && { readKey }),
    ...(consent === 'required' && { consent }),
    ...(automatic === 'false' && { automatic: false }),
    ...(dataLayer && { dataLayer: dataLayer === 'false' ? false : dataLayer }),
  } satisfies Options);
}
