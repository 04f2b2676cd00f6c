import { number, parsed, text } from './values.js';

/** The product that a page shows: a data attribute names it, or the page's schema.org data does. */
export interface ShownProduct {
  item_id: string;
  price: number | undefined;
}

type Node = Record<string, unknown>;

/** Return the product of the page; undefined if it shows none, or several. */
export function shownProduct(page: ParentNode = document): ShownProduct | undefined {
  const marked = page.querySelector<HTMLElement>('[data-endcap-product]')?.dataset;
  if (marked) return product(marked['endcapProduct'], marked['endcapPrice']);
  const scripts = page.querySelectorAll('[type$="ld+json"]');
  const described = [...scripts].flatMap((script) => productsOf(parsed(script.textContent)));
  return described.length === 1 ? described[0] : undefined;
}

/** Return the products that schema.org data describes as such; products in lists and in other things are left out. */
export function productsOf(data: unknown): ShownProduct[] {
  if (Array.isArray(data)) return data.flatMap(productsOf);
  const node = Object(data) as Node;
  if (node['@graph']) return productsOf(node['@graph']);
  if (![node['@type']].flat().some((type) => /(^|\/)Product(Group)?$/.test(type as string))) return [];
  const offer = Object([node['offers']].flat()[0]) as Node;
  const described = product(node['productID'] ?? node['productGroupID'] ?? node['sku'], offer['price'] ?? offer['lowPrice']);
  return described ? [described] : [];
}

function product(id: unknown, price: unknown): ShownProduct | undefined {
  const item_id = text(id);
  return item_id === undefined ? undefined : { item_id, price: number(price) };
}
