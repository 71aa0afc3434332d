import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../files.js';

/** Runs an ONNX model once with onnxruntime-node, an optional peer dependency, in a child process. */

export type OnnxOutcome =
  | { ran: true; outputs: Map<string, { shape: number[]; data: Float32Array }> }
  /** The runtime is not installed, or failed: why. */
  | { ran: false; reason: string };

const patience = 120_000;

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
    const answer = await inChild([runtime, modelPath, imagePath, shape.join('x'), output]);
    if (typeof answer === 'string') return { ran: false, reason: answer };
    const outputs = new Map<string, { shape: number[]; data: Float32Array }>();
    for (const [name, dims] of Object.entries(answer)) {
      const bytes = await readFile(`${output}.${name}`);
      const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
      outputs.set(name, { shape: dims, data: new Float32Array(copy as ArrayBuffer) });
    }
    return { ran: true, outputs };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Shapes of the outputs, or what became of the process. */
function inChild(args: string[]): Promise<Record<string, number[]> | string> {
  // Built beside this file; when the sources run themselves (tests), the build's copy is used.
  const script = fileURLToPath(
    import.meta.url.endsWith('.ts')
      ? new URL('../../dist/onnx/ort-child.js', import.meta.url)
      : new URL('./ort-child.js', import.meta.url),
  );
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    const timer = setTimeout(() => child.kill('SIGKILL'), patience);
    child.on('error', (error) => resolve(`onnxruntime-node could not be started: ${error.message}`));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      try {
        resolve(JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, number[]>);
      } catch {
        const reason = stderr.split('\n').find((line) => /error/i.test(line)) ?? '';
        resolve(`onnxruntime-node failed (${signal ?? `exit ${code}`}) ${reason}`.trim());
      }
    });
  });
}
