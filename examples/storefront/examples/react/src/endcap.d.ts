import type { Recommendations } from '@endcap/storefront';
import type { DetailedHTMLProps, HTMLAttributes } from 'react';

/** The attributes of the element, for JSX. */
type ElementAttributes = DetailedHTMLProps<HTMLAttributes<Recommendations>, Recommendations> & {
  placement?: string;
  limit?: number;
  'item-id'?: string;
  category?: string;
  cart?: string;
  heading?: string;
  href?: string;
  image?: string;
  currency?: string;
  explain?: boolean;
  live?: boolean;
};

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'endcap-recommendations': ElementAttributes;
    }
  }
}
