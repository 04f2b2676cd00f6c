/** An item of an answer, as the page shows it. */
export interface Item {
  product_id: string;
  product_name: string | null;
  price: number | null;
  columns?: Record<string, string | number>;
}

/** What a placement answered. */
export interface Answer {
  placement: string;
  recommendations: Item[];
  recommendation_id: string;
  source: string;
  explanation?: { items: { product_id: string; sentence: string }[] };
}

/** The request of an element. */
export interface PlacementQuery {
  placement: string;
  limit: number | undefined;
  item_id: string | undefined;
  category: string | undefined;
  cart: string[] | undefined;
}

/** Columns of the catalogue that pages need: shops name the picture of a product differently. */
export const COLUMNS = ['url', 'image_url', 'image', 'images'] as const;
