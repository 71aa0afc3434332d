// A worker thread that uses the emulated CUDA device.
import { parentPort } from 'node:worker_threads';
import { openDevice } from './common.mjs';

const device = openDevice('cuda-emulated');
const layers = [{ kind: 'conv', name: 'head', filters: 1, kernel: 1 }];
const network = device.createNetwork(layers, { channels: 3, height: 8, width: 8 });
await network.initialise(1);
parentPort.postMessage((await network.infer(new Float32Array(192).fill(0.5))).scores);
