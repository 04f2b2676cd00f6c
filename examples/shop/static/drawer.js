// "What happens behind": the events that the kit records and sends, and the answers that it receives, on this page and the
// last ones. The kit tells the page by events of the window.
const KEPT = 60;
const STORE = 'shop.drawer';
const drawer = document.getElementById('drawer');
const list = document.getElementById('drawer-list');
const button = document.querySelector('[data-drawer=open]');
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

// The list is drawn anew whenever something passes; what a visitor has opened stays open.
function keptOpen(details, entry) {
  details.open = Boolean(entry.open);
  details.addEventListener('toggle', () => { entry.open = details.open; });
  return details;
}

function eventRow(entry) {
  const [title, subject] = describeEvent(entry);
  const meta = element('span', { className: 'meta', textContent: entry.server ? 'sent by the shop’s server' : [subject, entry.sent].filter(Boolean).join(' · ') });
  const details = element('details', {},
    element('summary', {}, element('b', { textContent: entry.server ? `${title}: ${subject}` : title }), element('time', { textContent: clock(entry.at) }), meta));
  if (entry.detail) details.append(element('pre', { textContent: JSON.stringify(entry.detail, null, 1) }));
  return element('li', { className: entry.server ? 'server' : 'event' }, keptOpen(details, entry));
}

function answerRow(entry) {
  const facts = [entry.live ? 'live update' : `${entry.milliseconds} ms`, `from ${entry.source}`, entry.strategy, entry.variant && `variant ${entry.variant}`,
    entry.generation && `generation ${entry.generation}`].filter(Boolean).join(' · ');
  const reasons = entry.items.map(([name, sentence]) => element('li', {}, name, sentence && element('em', { textContent: ` – ${sentence}` })));
  const details = element('details', {},
    element('summary', {}, element('b', { textContent: `${entry.placement}: ${entry.count} items` }), element('time', { textContent: clock(entry.at) }),
      element('span', { className: 'meta', textContent: facts })),
    element('ol', { className: 'reasons' }, ...reasons), element('span', { className: 'meta', textContent: `answer ${entry.id}` }));
  return element('li', { className: 'answer' }, keptOpen(details, entry));
}

function draw() {
  const answers = entries.filter((entry) => entry.kind === 'answer');
  const times = answers.map((entry) => entry.milliseconds).filter(Boolean).sort((a, b) => a - b);
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
  add({ kind: 'event', event: detail.event_id, type: detail.event_type, item: detail.item_id ?? detail.impression?.join(', '), detail });
});
addEventListener('endcap:sent', ({ detail }) => {
  const sent = new Set(detail.events.map((event) => event.event_id));
  const result = detail.status ? `${detail.status} after ${Math.round(detail.milliseconds)} ms` : 'offline: kept for later';
  entries.forEach((entry) => { if (sent.has(entry.event)) entry.sent = result; });
  keep(STORE, entries);
  draw();
});
addEventListener('endcap:answer', ({ detail }) => {
  const { answer, milliseconds } = detail;
  const rows = answer.recommendations;
  const name = (id) => rows.find((row) => row.product_id === id)?.product_name ?? id;
  const items = answer.explanation?.items.map((item) => [name(item.product_id), item.sentence]);
  add({ kind: 'answer', placement: answer.placement, live: milliseconds === undefined, milliseconds: Math.round(milliseconds ?? 0), variant: answer.variant,
    source: answer.source, generation: answer.generation, strategy: rows[0]?.strategy, count: rows.length, id: answer.recommendation_id,
    items: items ?? rows.map((row) => [name(row.product_id), '']) });
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
