import * as endcap from '@endcap/storefront';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

const { VITE_ENDCAP_URL = 'http://localhost:8080', VITE_ENDCAP_KEY = 'STOREFRONT KEY' } = import.meta.env;

endcap.init({ url: VITE_ENDCAP_URL, key: VITE_ENDCAP_KEY, automatic: false });

const PRODUCTS = [
  { id: 'p-12', name: 'Blue kettle', price: 39.9 },
  { id: 'p-13', name: 'Tea pot', price: 24.5 },
];

/** A page of one product: its view is tracked when the product changes, as routers of React change pages. */
function Product({ id }: { id: string }) {
  const product = PRODUCTS.find((each) => each.id === id);
  useEffect(() => void endcap.track('view', { item_id: id, price: product?.price }), [id, product]);
  return (
    <main>
      <h1>{product?.name}</h1>
      <button onClick={() => endcap.track('add_to_cart', { item_id: id, quantity: 1, price: product?.price })}>
        Add to cart
      </button>
      <endcap-recommendations placement="product" item-id={id} heading="Similar products" limit={6} explain href="#{id}">
        <p>There are no recommendations at the moment.</p>
      </endcap-recommendations>
    </main>
  );
}

function Shop() {
  const [id, setId] = useState('p-12');
  useEffect(() => {
    const follow = () => setId(location.hash.slice(1) || 'p-12');
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return <Product id={id} />;
}

createRoot(document.getElementById('shop') as HTMLElement).render(<Shop />);
