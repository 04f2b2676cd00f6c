import { resolve } from 'node:path';
import { defineConfig } from 'vite';

/** Builds the example with React over the sources of the kit, where a shop has the package. */
export default defineConfig({
  root: resolve(import.meta.dirname, '../examples/react'),
  resolve: { alias: { '@endcap/storefront': resolve(import.meta.dirname, '../src/index.ts') } },
  build: { emptyOutDir: true },
});
