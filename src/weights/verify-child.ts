/** Run as a process of its own by verify.ts: verify-child.js WEIGHTS. Prints a Verification as JSON. */
import { readCached } from './cache.js';
import { compareWithRuntime } from './verify.js';

const { backbone } = await readCached(process.argv[2] ?? '');
process.stdout.write(`${JSON.stringify(await compareWithRuntime(backbone))}\n`);
