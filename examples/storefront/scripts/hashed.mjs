// Copies dist/kit.js to dist/kit.<hash>.js, a name that changes with its content and may be cached for ever.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const folder = new URL('../dist/', import.meta.url);
const script = readFileSync(new URL('kit.js', folder));
const digest = createHash('sha384').update(script).digest();
const name = `kit.${digest.toString('hex').slice(0, 16)}.js`;
writeFileSync(new URL(name, folder), script);
const manifest = { script: name, integrity: `sha384-${digest.toString('base64')}` };
writeFileSync(new URL('manifest.json', folder), `${JSON.stringify(manifest, null, 2)}\n`);
