import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CpuIsa } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { writeFileAtomic } from '../files.js';
import { architecture, networkTensors } from '../models/index.js';
import { writeChain } from '../onnx/write-chain.js';
import { openNetwork, type Timed, warmUp } from './ours.js';
import type { PeerName, Suite } from './types.js';

/** The other engines, on the same shapes and number of threads, each at its strongest. */
export interface Peer {
  name: PeerName;
  /** Of the version and settings that were measured. */
  facts: Record<string, unknown>;
  /** Null for what the peer cannot do. */
  open(suite: Suite, model: string, batch: number, threads: number): Promise<Timed | null>;
}

const leastCalls = 3;

/** @throws FcddError FCDD_NOT_FOUND when a peer is missing: never an empty column */
export async function openPeer(name: PeerName, isa?: CpuIsa): Promise<Peer> {
  return name === 'onnxruntime' ? openOnnxRuntime(isa) : openPyTorch(isa);
}

function openOnnxRuntime(isa?: CpuIsa): Peer {
  let runtime: string;
  try {
    runtime = createRequire(import.meta.url).resolve('onnxruntime-node');
  } catch (cause) {
    throw new FcddError('FCDD_NOT_FOUND', 'the peer onnxruntime-node is missing', {
      hint: 'npm install onnxruntime-node, or leave --peer onnxruntime out',
      cause,
    });
  }
  const facts: Record<string, unknown> = {
    provider: 'cpu',
    graphOptimisation: 'all',
    batchNormalisation: 'folded by its optimiser',
    ...(isa ? { instructionSet: 'its own choice: it cannot be told' } : {}),
  };
  return {
    name: 'onnxruntime',
    facts,
    async open(suite, model, batch, threads) {
      if (suite !== 'inference') return null;
      const folder = await mkdtemp(join(tmpdir(), 'fcdd-bench-'));
      const path = join(folder, 'model.onnx');
      const { channels, height, width } = architecture(model).input;
      await writeFileAtomic(path, await onnxOf(model, batch));
      const child = forkChild();
      const { version } = await ask<{ version: string }>(child, {
        ...{ runtime, model: path, threads },
        shape: [batch, channels, height, width],
      });
      facts.version = version;
      let warm = 0;
      return {
        async measure(seconds) {
          const request = { seconds, leastCalls, warmUp: warm++ === 0 ? warmUp : 0 };
          return (await ask<{ times: number[] }>(child, request)).times;
        },
        [Symbol.dispose]() {
          child.kill();
          void rm(folder, { recursive: true, force: true });
        },
      };
    },
  };
}

/** The network that we measure, with its batch normalisations for the peer to fold. */
async function onnxOf(model: string, batch: number): Promise<readonly Uint8Array[]> {
  using net = await openNetwork(model, 'cpu');
  const tensors = await networkTensors(net.network);
  return writeChain(architecture(model).layers({ bias: true }), tensors, net.input, batch);
}

/** Built beside this file; when the sources run themselves (tests), the build's copy is used. */
function forkChild(): ChildProcess {
  const folder = import.meta.url.endsWith('.ts') ? '../../dist/benchmark/' : './';
  return fork(fileURLToPath(new URL(`${folder}ort-child.js`, import.meta.url)), [], { execArgv: [] });
}

function ask<T>(child: ChildProcess, message: object): Promise<T> {
  return new Promise((resolve, reject) => {
    const failed = (text: string): void =>
      reject(new FcddError('FCDD_DEVICE', `the peer onnxruntime-node failed: ${text}`));
    const onExit = (code: number | null): void => failed(`its process ended with ${code}`);
    child.once('exit', onExit);
    child.once('message', (answer: T & { error?: string }) => {
      child.off('exit', onExit);
      if (answer.error !== undefined) failed(answer.error);
      else resolve(answer);
    });
    child.send(message as never);
  });
}

/** What holds PyTorch's own kernels and those of oneDNN to an instruction set. */
const heldTo: Record<CpuIsa, Record<string, string>> = {
  baseline: { ATEN_CPU_CAPABILITY: 'default', ONEDNN_MAX_CPU_ISA: 'SSE41', DNNL_MAX_CPU_ISA: 'SSE41' },
  avx2: { ATEN_CPU_CAPABILITY: 'avx2', ONEDNN_MAX_CPU_ISA: 'AVX2', DNNL_MAX_CPU_ISA: 'AVX2' },
  avx512: {},
};

interface PyTorchAnswer {
  torch: string;
  /** Of each suite asked for. */
  training?: { imagesPerSecond: number; format: string };
  inference?: { imagesPerSecond: number; format: string };
}

/** scripts/compare/torch_speed.py: both memory formats, glibc told to keep memory, the better one counts. */
async function openPyTorch(isa?: CpuIsa): Promise<Peer> {
  const folder = new URL('../../scripts/compare/', import.meta.url);
  try {
    const python = (await import(new URL('python.mjs', folder).href)) as {
      findPython: (modules: string[]) => string;
      runPython: (script: string, args: string[], options: object) => PyTorchAnswer;
      KEEP_MEMORY: Record<string, string>;
    };
    const modules = ['torch', 'numpy'];
    python.findPython(modules);
    const environment = { ...python.KEEP_MEMORY, ...(isa ? heldTo[isa] : {}) };
    const facts: Record<string, unknown> = {
      environment,
      memoryFormats: 'the better one',
    };
    return {
      name: 'pytorch',
      facts,
      async open(suite, model, batch, threads) {
        if (suite === 'ops') return null;
        const kind = suite === 'train' ? 'training' : 'inference';
        const args = { model, batch, threads, kind };
        return {
          async measure(seconds) {
            const list = Object.entries({ ...args, seconds }).flatMap(([key, value]) => [
              `--${key}`,
              `${value}`,
            ]);
            const script = fileURLToPath(new URL('torch_speed.py', folder));
            const answer = python.runPython(script, [...list, '--json'], {
              env: environment,
              modules,
            });
            facts.version = answer.torch;
            return [(1000 * batch) / answer[kind]!.imagesPerSecond];
          },
          [Symbol.dispose]() {},
        };
      },
    };
  } catch (cause) {
    throw new FcddError('FCDD_NOT_FOUND', `the peer PyTorch is missing: ${(cause as Error).message}`, {
      hint: 'install python3-torch, set FCDD_PYTHON to a Python that imports torch, or leave --peer pytorch out',
      cause,
    });
  }
}
