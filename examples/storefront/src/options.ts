/** How a shop sets up the kit. */
export interface Options {
  /** Address of Endcap, such as `https://endcap.shop.example`; by default where the script came from, else the page's. */
  url?: string;
  /** Address for events where that differs, because no gateway is in front of the services. */
  eventsUrl?: string;
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
  eventsUrl: string;
  key: string | undefined;
  readKey: string | undefined;
  required: boolean;
  automatic: boolean;
  dataLayer: string | false;
}

/** Return the settings of options. Throws TypeError for an address that is none. */
export function settings(options: Options): Settings {
  const url = address(options.url ?? '/');
  return {
    url,
    eventsUrl: options.eventsUrl ? address(options.eventsUrl) : url,
    key: options.key || undefined,
    readKey: options.readKey || undefined,
    required: options.consent === 'required',
    automatic: options.automatic ?? true,
    dataLayer: options.dataLayer ?? 'dataLayer',
  };
}

function address(url: string): string {
  return new URL(url, globalThis.document?.baseURI).href.replace(/\/$/, '');
}
