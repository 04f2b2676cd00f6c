/**
 * The style of an element. One row that scrolls sideways: its height does not depend on the number of items. The list,
 * the skeleton and the page's own content lie in one cell of a grid, so that the element is as high as the highest of
 * them from the beginning, and nothing on the page moves when the items come. Nothing is animated.
 */
export const STYLE = [
  ':host(:not([hidden])){display:block}div{display:grid}div>*{grid-area:1/1;min-width:0}[inert]{visibility:hidden}',
  // Safari takes `none` for "no list".
  "ul{display:grid;grid:auto/auto-flow var(--endcap-width,11rem);gap:var(--endcap-gap,1rem);overflow:auto;list-style:'';margin:0;padding:4px}",
  'a{color:inherit;text-decoration:none}',
  '[part=image]{display:block;width:100%;aspect-ratio:1;object-fit:contain;background:#8881}',
  '[part=name]{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:2;overflow:hidden;min-height:2lh}',
  '[part=price]{display:block;min-height:1lh}',
  'summary{min-height:24px}',
  '[part=status]{position:absolute;clip-path:inset(50%)}',
].join('');
