// What the shop tells the kit beside what the kit tracks by itself: who is logged in, the cart and the search.
const kit = window.endcap;
const client = kit && kit.init({});
const { user } = document.body.dataset;

if (client) {
  const known = client.visitor && client.visitor.user_id;
  if (user) kit.identify(user);
  else if (known) kit.reset();

  document.addEventListener('submit', ({ target }) => {
    const { track, item, price } = target.dataset;
    if (track) {
      const quantity = Number(target.elements.quantity?.value) || undefined;
      kit.track(track, { item_id: item, price: price && Number(price), quantity });
    }
    if ('order' in target.dataset) target.elements.session_id.value = client.visitor?.session_id ?? '';
  });

  const search = document.querySelector('[data-search]');
  if (search) kit.track('search', { query: search.dataset.search, results: Number(search.dataset.results) });
}
