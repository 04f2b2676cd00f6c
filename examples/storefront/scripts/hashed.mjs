// Copies dist/kit.js to dist/kit.<hash>.js, a name that changes with its content and may be cached for ever. Both are
// also compressed once: a server that compresses while it answers has less time, and sends more bytes.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const folder = new URL('../dist/', import.meta.url);
const script = readFileSync(new URL('kit.js', folder));
const digest = createHash('sha384').update(script).digest();
const name = `kit.${digest.toString('hex').slice(0, 16)}.js`;
writeFileSync(new URL(name, folder), script);
const compressed = gzipSync(script, { level: 9 });
for (const file of ['kit.js', name]) writeFileSync(new URL(`${file}.gz`, folder), compressed);
const manifest = { script: name, integrity: `sha384-${digest.toString('base64')}` };
writeFileSync(new URL('manifest.json', folder), `${JSON.stringify(manifest, null, 2)}\n`);
