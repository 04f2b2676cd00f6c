/** The script of a page: `<script src="/kit.js" data-key="…" data-url="…">` starts it; `endcap` is then a global. */
import { init } from './index.js';
import type { Options } from './options.js';

export { consent, flush, identify, init, page, reset, track } from './index.js';

const script = document.currentScript as HTMLScriptElement | null;
if (script?.dataset['key'] !== undefined) {
  const { url, automatic, dataLayer, ...others } = script.dataset;
  init({
    ...(others as Options),
    url: url ?? new URL('.', script.src).href,
    automatic: automatic !== 'false',
    dataLayer: dataLayer === 'false' ? false : dataLayer,
  });
}
