import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';

const MAX_BYTES = 6_000;

test('the script of a page has at most 6 kB, gzipped as it is served', () => {
  const { script } = JSON.parse(readFileSync('dist/manifest.json', 'utf8')) as { script: string };
  for (const file of ['kit.js', script]) {
    const compressed = readFileSync(`dist/${file}.gz`);
    assert.ok(compressed.length <= MAX_BYTES, `${file}.gz has ${compressed.length} bytes; ${MAX_BYTES} are allowed`);
    assert.deepEqual(gunzipSync(compressed), readFileSync(`dist/${file}`));
  }
});
