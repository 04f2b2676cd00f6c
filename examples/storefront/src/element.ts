import { COLUMNS, type Answer, type Item, type PlacementQuery } from './answers.js';
import type { Client } from './client.js';
import { watchImpressions } from './impressions.js';
import type { Pages, PlacementView } from './pages.js';
import { STYLE } from './styles.js';

/** Items of the skeleton where the element has no limit. */
const SKELETON = 6;
const BLANK = '<li><span part="image"></span><span part="name"></span><span part="price"></span>';

let client: Client | undefined;
let pages: Pages | undefined;
const shown = new Set<Recommendations>();

/** Let the elements of the page request their items; those that are there already do it now. */
export function connect(ready: Client, requests: Pages): void {
  client = ready;
  pages = requests;
  const reload = () => shown.forEach((element) => element.reload());
  ready.onChange(reload);
  reload();
}

const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

/** `<endcap-recommendations placement="home">`: the items of a placement. Its own content is shown if there are none. */
export class Recommendations extends Base implements PlacementView {
  static readonly observedAttributes = ['placement', 'limit', 'item-id', 'category', 'cart'];

  #answer: Answer | undefined;
  #postponed: Answer | false | undefined;
  #stream: AbortController | undefined;
  #root: ShadowRoot | undefined;
  #unwatch = () => {};

  /** Whether visitors may read why an item is there. */
  get explains(): boolean {
    return this.hasAttribute('explain');
  }

  /** The items that are shown. */
  get items(): Item[] {
    return this.#answer?.recommendations ?? [];
  }

  connectedCallback(): void {
    shown.add(this);
    if (!this.#root) this.#build();
    this.reload();
  }

  disconnectedCallback(): void {
    shown.delete(this);
    this.#unwatch();
    this.#stream?.abort();
  }

  attributeChangedCallback(): void {
    if (this.#root) this.reload();
  }

  /** Request the items anew. */
  reload(): void {
    this.#stream?.abort();
    this.#stream = this.#postponed = undefined;
    pages?.request(this);
  }

  query(): PlacementQuery {
    return {
      placement: this.#text('placement') ?? 'home',
      // A stream does not know what the other elements show.
      limit: Number(this.#text('limit')) + (this.#stream ? elsewhere(this) : []).length || undefined,
      item_id: this.#text('item-id'),
      category: this.#text('category'),
      cart: this.#text('cart')?.split(','),
    };
  }

  show(answer?: Answer): void {
    if (!this.isConnected) return;
    const live = this.#stream;
    // Nothing changes under the pointer or the focus.
    const inUse = live && this.matches(':hover,:focus-within');
    this.#postponed = inUse && answer;
    if (inUse) return;
    const items = answer?.recommendations.filter((item) => !elsewhere(this).includes(item.product_id)) ?? [];
    items.splice(Number(this.#text('limit')) || items.length);
    if (live && (!items[0] || `${ids(items)}` === `${ids(this.items)}`)) return;
    this.#answer = answer && { ...answer, recommendations: items };
    this.#render();
    if (live) {
      this.#part('status').textContent = this.#text('text-updated') ?? 'Recommendations changed.';
    } else if (answer && this.hasAttribute('live')) {
      this.#stream = new AbortController();
      pages?.follow(this, this.#stream.signal);
    }
  }

  #build(): void {
    const heading = this.#text('heading');
    const blank = BLANK + (this.explains ? '<summary></summary>' : ''); // A `summary` on its own has no focus.
    this.#root = this.attachShadow({ mode: 'open' });
    const style = new CSSStyleSheet(); // Pages whose policy forbids inline styles allow it.
    style.replaceSync(STYLE);
    this.#root.adoptedStyleSheets = [style];
    this.#root.innerHTML =
      `<section part="section" aria-label="${escaped(this.#text('label') ?? heading ?? 'Recommendations')}">` +
      `<slot name="heading">${heading ? `<h2 part="heading">${escaped(heading)}</h2>` : ''}</slot><div>` +
      `<span part="fallback" inert><slot></slot></span><ul part="list"></ul>` +
      `<ul part="skeleton" aria-hidden="true">${blank.repeat(Number(this.#text('limit')) || SKELETON)}</ul></div>` +
      '<p part="status" role="status"></p></section>';
    const list = this.#part('list');
    list.onclick = list.onauxclick = (event) => this.#clicked(event);
    // Then show what came while the visitor was at the items.
    const resume = () => this.#postponed && this.show(this.#postponed);
    for (const type of ['pointerleave', 'focusout']) this.addEventListener(type, () => setTimeout(resume));
  }

  #render(): void {
    const { items } = this;
    const { recommendation_id, placement, explanation } = this.#answer ?? {};
    const sentence = ({ product_id }: Item) => explanation?.items.find((item) => item.product_id === product_id)?.sentence;
    const list = this.#part('list');
    this.#unwatch();
    list.innerHTML = items.map((item) => this.#row(item, sentence(item))).join('');
    list.inert = !items.length;
    this.#part('fallback').inert = !list.inert;
    this.#part('skeleton').inert = true;
    this.#unwatch = watchImpressions([...list.children], (impression) => {
      client?.track('impression', { impression, recommendation_id, placement });
    });
  }

  #row(item: Item, sentence: string | undefined): string {
    const href = this.#address('href', item, ['url']);
    const picture = this.#address('image', item, COLUMNS.slice(1));
    const tag = href ? 'a' : 'span';
    return (
      `<li part="item" data-item="${escaped(item.product_id)}"><${tag}${href && ` href="${escaped(href)}"`} part="link">` +
      (picture ? `<img part="image" alt="" loading="lazy" src="${escaped(picture)}">` : '<span part="image"></span>') +
      `<span part="name">${escaped(item.product_name ?? item.product_id)}</span>` +
      `<span part="price">${escaped(this.#price(item.price))}</span></${tag}>` +
      (this.explains && sentence
        ? `<details part="reason"><summary part="why">${escaped(this.#text('text-why') ?? 'Why this?')}</summary>${escaped(sentence)}</details>`
        : '') +
      '</li>'
    );
  }

  /** Return the address of an item: of the attribute's template, else of the first column that has one; '' for none. */
  #address(attribute: string, item: Item, columns: readonly string[]): string {
    const template = this.#text(attribute)?.replace('{id}', encodeURIComponent(item.product_id));
    const [address = ''] = String(template ?? columns.map((name) => item.columns?.[name]).find(Boolean) ?? '').split('|');
    const link = document.createElement('a');
    link.href = address;
    return /^http/.test(link.protocol) ? address : '';
  }

  #price(amount: number | null): string {
    const currency = this.#text('currency');
    const options = currency ? { style: 'currency' as const, currency } : {};
    return amount?.toLocaleString(document.documentElement.lang || undefined, options) ?? '';
  }

  #clicked(event: Event): void {
    const item_id = (event.target as Element).closest('a')?.closest('li')?.dataset['item'];
    const { recommendation_id, placement } = this.#answer ?? {};
    if (item_id) client?.track('click', { item_id, recommendation_id, placement, position: ids(this.items).indexOf(item_id) + 1 });
  }

  #text(attribute: string): string | undefined {
    return this.getAttribute(attribute) || undefined;
  }

  #part(name: string): HTMLElement {
    return this.#root?.querySelector(`[part=${name}]`) as HTMLElement;
  }
}

/** Return the ids of the items that the other elements of the page show. */
const elsewhere = (element: Recommendations): string[] =>
  [...shown].flatMap((other) => (other === element ? [] : ids(other.items)));

const ids = (items: Item[]): string[] => items.map((item) => item.product_id);

/** Return a text as it stands in HTML, in an element or between quotes. */
function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Define the element, unless the page has another kit already. */
export function define(): void {
  if (globalThis.customElements && !customElements.get('endcap-recommendations')) {
    customElements.define('endcap-recommendations', Recommendations);
  }
}
