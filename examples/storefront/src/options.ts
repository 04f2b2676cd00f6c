/** How a shop sets up the kit. */
export interface Options {
  /** Address of Endcap, such as `https://endcap.shop.example`; by default where the script came from, else the page's. */
  url?: string | undefined;
  /** Address for events where that differs, because no gateway is in front of the services. */
  eventsUrl?: string | undefined;
  /** Storefront key, for events and recommendations: pages are public, and it is bound to the shop's origins. */
  key?: string | undefined;
  /** Another key for recommendations, where `key` is for events alone. */
  readKey?: string | undefined;
  /** With `required` nothing is stored or sent before `consent(true)`. */
  consent?: 'required' | 'implied' | undefined;
  /** Whether pages and products are tracked by themselves; on by default. */
  automatic?: boolean | undefined;
  /** Name of the data layer whose e-commerce events are tracked, `dataLayer` by default; `false` for none. */
  dataLayer?: string | false | undefined;
}

/** The options with their defaults, and addresses that do not depend on the page. */
export type Settings = Options & { url: string; eventsUrl: string };

/** Return the settings of options. Throws TypeError for an address that is none. */
export function settings(options: Options): Settings {
  const url = address(options.url ?? '/');
  return { ...options, url, eventsUrl: address(options.eventsUrl ?? url) };
}

function address(url: string): string {
  return new URL(url, globalThis.document?.baseURI).href.replace(/\/$/, '');
}
