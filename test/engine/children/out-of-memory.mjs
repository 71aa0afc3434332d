// On a device with little memory: a batch that does not fit, then one that does.
import { openDevice } from './common.mjs';

const device = openDevice('cuda-emulated');
const layers = [{ kind: 'conv', name: 'head', filters: 1, kernel: 1 }];
const network = device.createNetwork(layers, { channels: 3, height: 64, width: 64 });
await network.initialise(1);
const result = {};
try {
  const options = { objective: { pixelwise: false }, optimiser: { kind: 'sgd' }, seed: 1 };
  network.createTrainer({ ...options, batch: 512 });
} catch ({ code, message }) {
  Object.assign(result, { code, message });
}
result.scores = (await network.infer(new Float32Array(3 * 64 * 64))).scores.length;
console.log(JSON.stringify(result));
