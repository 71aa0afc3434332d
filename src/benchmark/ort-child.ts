/**
 * onnxruntime in a process of its own, which stays and measures when asked to: forked by peers.ts. Messages in:
 * { runtime, model, shape, threads } opens a model; { seconds, warmUp, leastCalls } measures. Messages out:
 * { version } and { times } in milliseconds, or { error }.
 */
import { createRequire } from 'node:module';

interface Session {
  inputNames: string[];
  run(feeds: object): Promise<unknown>;
}
interface Runtime {
  env: { versions?: Record<string, string> };
  InferenceSession: { create(path: string, options: object): Promise<Session> };
  Tensor: new (type: 'float32', data: Float32Array, dims: number[]) => object;
}
interface Open {
  runtime: string;
  model: string;
  shape: number[];
  threads: number;
}
interface Measure {
  seconds: number;
  warmUp: number;
  leastCalls: number;
}

let call: (() => Promise<unknown>) | undefined;

async function open({ runtime, model, shape, threads }: Open): Promise<object> {
  const ort = createRequire(import.meta.url)(runtime) as Runtime;
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    executionProviders: ['cpu'],
  });
  const pixels = new Float32Array(shape.reduce((product, extent) => product * extent, 1));
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.sin(i);
  const feeds = { [session.inputNames[0]!]: new ort.Tensor('float32', pixels, shape) };
  call = () => session.run(feeds);
  return { version: ort.env.versions?.node ?? ort.env.versions?.common ?? 'unknown' };
}

async function measure({ seconds, warmUp, leastCalls }: Measure): Promise<object> {
  for (let i = 0; i < warmUp; i++) await call!();
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (times.length < leastCalls || performance.now() < end) {
    const began = performance.now();
    await call!();
    times.push(performance.now() - began);
  }
  return { times };
}

process.on('message', (message: Open | Measure) => {
  const answer = 'model' in message ? open(message) : measure(message);
  answer.then(
    (result) => process.send!(result),
    (error: Error) => process.send!({ error: error.message }),
  );
});
