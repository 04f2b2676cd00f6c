/** How a shop sets up the kit. */
export interface Options {
  /** Address of Endcap, such as `https://endcap.shop.example`; by default where the script came from, else the page's. */
  url?: string;
  /** Ingest key: pages are public, so bind it to the shop's origins. */
  key?: string;
  /** Read key, for recommendations. */
  readKey?: string;
  /** With `required` nothing is stored or sent before `consent(true)`. */
  consent?: 'required' | 'implied';
  /** Whether pages and products are tracked by themselves; on by default. */
  automatic?: boolean;
  /** Name of the data layer whose e-commerce events are tracked, `dataLayer` by default; `false` for none. */
  dataLayer?: string | false;
}

export interface Settings {
  url: string;
  key: string | undefined;
  readKey: string | undefined;
  required: boolean;
  automatic: boolean;
  dataLayer: string | false;
}

/** Return the settings of options. Throws TypeError for an address that is none. */
export function settings(options: Options): Settings {
  const base = globalThis.document?.baseURI;
  const url = new URL(options.url ?? '/', base).href.replace(/\/$/, '');
  return {
    url,
    key: options.key || undefined,
    readKey: options.readKey || undefined,
    required: options.consent === 'required',
    automatic: options.automatic ?? true,
    dataLayer: options.dataLayer ?? 'dataLayer',
  };
}
