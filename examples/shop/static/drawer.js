// "What happens behind": the events that the kit sends and the answers that it receives, on this page and the last ones.
const KEPT = 60;
const STORE = 'shop.drawer';
const drawer = document.getElementById('drawer');
const list = document.getElementById('drawer-list');
const button = document.querySelector('[data-drawer=open]');
const script = document.querySelector('script[data-read-key]');
const read = (name, none) => { try { return JSON.parse(sessionStorage.getItem(name)) ?? none; } catch { return none; } };
const keep = (name, value) => { try { sessionStorage.setItem(name, JSON.stringify(value)); } catch { /* private mode */ } };
let entries = read(STORE, []);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== undefined && child !== ''));
  return made;
}

const clock = (time) => new Date(time).toLocaleTimeString([], { hour12: false });

function describeEvent({ type, item, name, detail }) {
  const subject = name || item || detail?.query || '';
  return [type.replaceAll('_', ' '), subject];
}

function eventRow(entry) {
  const [title, subject] = describeEvent(entry);
  const meta = element('span', { className: 'meta', textContent: entry.server ? 'sent by the shop’s server' : subject });
  const details = element('details', {},
    element('summary', {}, element('b', { textContent: entry.server ? `${title}: ${subject}` : title }), element('time', { textContent: clock(entry.at) }), meta));
  if (entry.detail) details.append(element('pre', { textContent: JSON.stringify(entry.detail, null, 1) }));
  return element('li', { className: entry.server ? 'server' : 'event' }, details);
}

function answerRow(entry) {
  const facts = [`${entry.milliseconds} ms`, `from ${entry.source}`, entry.strategy, entry.variant && `variant ${entry.variant}`,
    entry.generation && `generation ${entry.generation}`].filter(Boolean).join(' · ');
  const details = element('details', {},
    element('summary', {}, element('b', { textContent: `${entry.placement}: ${entry.count} items` }), element('time', { textContent: clock(entry.at) }),
      element('span', { className: 'meta', textContent: facts })));
  const reasons = element('ol', { className: 'reasons' }, ...entry.items.map((item) => element('li', { textContent: item })));
  details.append(reasons, element('span', { className: 'meta', textContent: entry.id ? `answer ${entry.id}` : '' }));
  details.addEventListener('toggle', () => details.open && explain(entry, reasons), { once: true });
  return element('li', { className: 'answer' }, details);
}

// Why each item is there: the same question once more, with explain=1, which counts as no answer to the visitor.
async function explain(entry, reasons) {
  if (!entry.explained && entry.url) {
    const address = new URL(entry.url, location.href);
    address.searchParams.set('explain', '1');
    const headers = script.dataset.readKey ? { 'x-api-key': script.dataset.readKey } : {};
    const answer = await fetch(address, { headers }).catch(() => undefined);
    if (!answer?.ok) return;
    const body = await answer.json();
    const names = new Map(body.recommendations.map((row) => [row.product_id, row.product_name]));
    entry.explained = body.explanation.items.map(({ product_id, sentence }) => [names.get(product_id) ?? product_id, sentence]);
    keep(STORE, entries);
  }
  if (entry.explained) {
    reasons.replaceChildren(...entry.explained.map(([name, sentence]) =>
      element('li', {}, `${name} `, element('em', { textContent: `– ${sentence}` }))));
  }
}

function draw() {
  const answers = entries.filter((entry) => entry.kind === 'answer');
  const times = answers.map((entry) => entry.milliseconds).sort((a, b) => a - b);
  const sums = { events: entries.length - answers.length, answers: answers.length,
    median: times.length ? `${times[times.length >> 1]} ms` : '–' };
  drawer.querySelectorAll('[data-sum]').forEach((sum) => { sum.textContent = sums[sum.dataset.sum]; });
  list.replaceChildren(...entries.map((entry) => (entry.kind === 'answer' ? answerRow(entry) : eventRow(entry))));
}

function add(entry) {
  entries = [{ at: Date.now(), ...entry }, ...entries].slice(0, KEPT);
  keep(STORE, entries);
  draw();
  const pulse = button.querySelector('.pulse');
  pulse.classList.remove('busy');
  void pulse.offsetWidth; // begin the animation anew
  pulse.classList.add('busy');
}

function show(open) {
  drawer.hidden = !open;
  button.setAttribute('aria-expanded', String(open));
  keep(`${STORE}.open`, open);
}

addEventListener('endcap:event', ({ detail }) => {
  add({ kind: 'event', type: detail.event_type, item: detail.item_id ?? detail.impression?.join(', '), detail });
});
addEventListener('endcap:answer', ({ detail }) => {
  const { answer, placement, url, milliseconds, variant } = detail;
  const rows = answer.recommendations;
  add({ kind: 'answer', placement, url, variant, milliseconds: Math.round(milliseconds), source: answer.source, generation: answer.generation,
    strategy: rows[0]?.strategy, count: rows.length, id: answer.recommendation_id,
    items: rows.map((row) => row.product_name ?? row.product_id),
    explained: answer.explanation?.items.map((item) => [rows.find((row) => row.product_id === item.product_id)?.product_name ?? item.product_id, item.sentence]) });
});

document.addEventListener('click', ({ target }) => {
  const action = target.closest('[data-drawer]')?.dataset.drawer;
  if (action === 'clear') { entries = []; keep(STORE, entries); draw(); }
  if (action === 'open') show(drawer.hidden);
  if (action === 'close') { show(false); button.focus(); }
});
addEventListener('keydown', ({ key }) => { if (key === 'Escape' && !drawer.hidden) { show(false); button.focus(); } });

document.querySelectorAll('#sent-by-server').forEach(({ content }) => content.querySelectorAll('data').forEach(({ dataset }) => {
  const known = entries.some((entry) => entry.server && entry.order === dataset.order && entry.item === dataset.item);
  if (!known) add({ kind: 'event', server: true, ...dataset, detail: { order_id: dataset.order, item_id: dataset.item, quantity: Number(dataset.quantity) } });
}));
draw();
show(read(`${STORE}.open`, false) && matchMedia('(min-width: 48rem)').matches);
