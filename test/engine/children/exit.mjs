// Leaves in the middle of a run: exit.mjs exit | throw | worker | natural | pending
import { Worker } from 'node:worker_threads';
import { LONG, longRun, openDevice, setUp } from './common.mjs';

const device = openDevice('cpu');
const { trainer } = await setUp(device, LONG);
const how = process.argv[2];
if (how === 'exit' || how === 'throw') {
  trainer.run(longRun).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 50));
  if (how === 'exit') process.exit(3);
  throw new Error('thrown in mid-run');
}
if (how === 'worker') {
  const file = new URL('worker.mjs', import.meta.url);
  new Worker(file, { workerData: { forever: true } }).once('message', () => process.exit(3));
  await new Promise(() => {});
}
// Neither an open device nor finished work keeps a process alive; unfinished work does.
const run = trainer.run({ ...longRun, steps: 20 });
if (how === 'natural') await run;
else run.then(({ steps }) => console.log(`${steps} steps`));
