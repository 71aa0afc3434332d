import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChild } from '../child.js';
import { writeFileAtomic } from '../files.js';

/** Runs an ONNX model once with onnxruntime-node, an optional peer dependency, in a child process. */

export type OnnxOutcome =
  | { ran: true; outputs: Map<string, { shape: number[]; data: Float32Array }> }
  /** The runtime is not installed, or failed: why. */
  | { ran: false; reason: string };

/** The runtime's entry file; undefined where it is not installed. */
function runtimePath(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve('onnxruntime-node');
  } catch {
    return undefined;
  }
}

/** @param pixels of shape `shape` (N×C×H×W) */
export async function runOnnx(
  model: readonly Uint8Array[],
  pixels: Float32Array,
  shape: readonly number[],
): Promise<OnnxOutcome> {
  const runtime = runtimePath();
  if (runtime === undefined)
    return { ran: false, reason: 'onnxruntime-node is not installed (npm install onnxruntime-node)' };
  const folder = await mkdtemp(join(tmpdir(), 'fcdd-onnx-'));
  try {
    const [modelPath, imagePath, output] = ['model.onnx', 'image', 'output'].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    await writeFileAtomic(modelPath, model);
    await writeFileAtomic(imagePath, new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength));
    const answer = await runChild('onnx/ort-child', [runtime, modelPath, imagePath, shape.join('x'), output]);
    if (typeof answer === 'string') return { ran: false, reason: `onnxruntime-node: ${answer}` };
    const outputs = new Map<string, { shape: number[]; data: Float32Array }>();
    for (const [name, dims] of Object.entries(answer as Record<string, number[]>)) {
      const bytes = await readFile(`${output}.${name}`);
      const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
      outputs.set(name, { shape: dims, data: new Float32Array(copy as ArrayBuffer) });
    }
    return { ran: true, outputs };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
