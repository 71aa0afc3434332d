/**
 * Run as a child process by export-verify.ts, so that ONNX Runtime's threads and memory, and a crash of it, stay out of
 * the caller's process. Takes one message { file, pictures }, answers with outputs or { problem, missing }.
 */
import { readFile } from 'node:fs/promises';
import type * as Runtime from 'onnxruntime-node';

export interface RunRequest {
  file: string;
  /** One batch each: count × height × width × 3 bytes. */
  batches: { pixels: Uint8Array; shape: [number, number, number, number] }[];
}

export interface RunOutputs {
  score: Float32Array;
  map: Float32Array;
  heatmap: Float32Array;
}

export type RunAnswer = { version: string; batches: RunOutputs[] } | { problem: string; missing: boolean };

async function answer({ file, batches }: RunRequest): Promise<RunAnswer> {
  let runtime: typeof Runtime;
  try {
    runtime = (await import('onnxruntime-node')) as typeof Runtime;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { problem: message.split('\n')[0]!, missing: code === 'ERR_MODULE_NOT_FOUND' };
  }
  const module = runtime as typeof Runtime & { default?: typeof Runtime };
  const { InferenceSession, Tensor, env } = module.default ?? module;
  const session = await InferenceSession.create(await readFile(file), { logSeverityLevel: 3 });
  const outputs: RunOutputs[] = [];
  for (const { pixels, shape } of batches) {
    const result = await session.run({ image: new Tensor('uint8', pixels, shape) });
    const values = (name: string): Float32Array => Float32Array.from(result[name]!.data as Float32Array);
    outputs.push({ score: values('score'), map: values('map'), heatmap: values('heatmap') });
  }
  const { node, common } = env.versions;
  return { version: node ?? common, batches: outputs };
}

process.once('message', async (request: RunRequest) => {
  const reply = await answer(request).catch(
    (error: unknown): RunAnswer => ({ problem: String((error as Error).message ?? error), missing: false }),
  );
  process.send!(reply, () => process.exit(0));
});
