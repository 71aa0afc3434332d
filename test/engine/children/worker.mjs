// A worker thread: trains and posts a weight, or trains until it is terminated.
import { parentPort, workerData } from 'node:worker_threads';
import { LONG, longRun, openDevice, setUp } from './common.mjs';

const device = openDevice('cpu', { threads: 2 });
if (workerData.forever) {
  const { trainer } = await setUp(device, LONG);
  const run = trainer.run(longRun);
  setTimeout(() => parentPort.postMessage('running'), 30);
  await run;
} else {
  const { network, trainer } = await setUp(device, 4);
  await trainer.run({ epoch: 0, first: 0, steps: 16, lr: 0.01 });
  parentPort.postMessage(await network.get('conv1.weight'));
}
