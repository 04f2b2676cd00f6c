import { resolve } from 'node:path';
import { defineConfig } from 'vite';

/** Two builds: the module that bundlers import, and the script of a page, which starts itself. */
const builds = {
  module: { entry: 'src/index.ts', formats: ['es' as const], fileName: () => 'endcap.js' },
  script: { entry: 'src/kit.ts', formats: ['iife' as const], name: 'endcap', fileName: () => 'kit.js' },
};

export default defineConfig(({ mode }) => ({
  build: {
    lib: {
      ...(mode === 'script' ? builds.script : builds.module),
      entry: resolve(import.meta.dirname, mode === 'script' ? builds.script.entry : builds.module.entry),
    },
    target: 'es2022',
    minify: 'oxc',
    emptyOutDir: mode !== 'script',
    sourcemap: mode === 'script' ? 'hidden' : true,
    rolldownOptions: { output: { generatedCode: { symbols: false } } },
  },
}));
