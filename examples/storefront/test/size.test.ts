import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const MAX_BYTES = 6_000;

test('the script of a page has at most 6 kB, gzipped', () => {
  const bytes = gzipSync(readFileSync('dist/kit.js'), { level: 9 }).length;
  assert.ok(bytes <= MAX_BYTES, `dist/kit.js has ${bytes} bytes; ${MAX_BYTES} are allowed`);
});
