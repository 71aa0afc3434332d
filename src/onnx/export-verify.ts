/** Compares an exported file in ONNX Runtime with the network it was made from, on pictures of its own making. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { fitPixels } from '../data/decode.js';
import { loadModel } from '../detector.js';
import { openDevice } from '../engine/index.js';
import { FcddError } from '../errors.js';
import { relativeDistance } from '../evaluation/distance.js';
import { seededRandom } from '../evaluation/random.js';
import { isAnomalous } from '../evaluation/threshold.js';
import type { ModelMetadata } from '../models/index.js';
import type { ExportDescription } from './export.js';
import { exportBounds } from './export-bounds.js';
import type { RunAnswer, RunOutputs, RunRequest } from './export-run.js';

export interface Verification {
  /** Of onnxruntime-node. */
  version: string;
  pictures: number;
  /** Largest relative distance (L2) over the pictures. */
  score: number;
  map: number;
  heatmap: number;
  bound: number;
  /** Pictures on which both give the same verdict; null without a threshold. */
  sameVerdicts: number | null;
  passed: boolean;
}

interface Picture {
  data: Uint8Array;
  height: number;
  width: number;
}

/** Pictures go through ONNX Runtime one batch after the other; those of a batch have one size. */
type Pictures = Picture[][];

/** Seconds that ONNX Runtime may take before it counts as stuck. */
const patience = 300;

/**
 * @param model path of the model file
 * @param file path of the exported file
 * @throws FcddError FCDD_NOT_FOUND without onnxruntime-node, FCDD_BAD_MODEL when it refuses the file or crashes
 */
export async function verifyExport(
  model: string,
  file: string,
  description: ExportDescription,
  fp16: boolean,
): Promise<Verification> {
  using device = openDevice('cpu');
  using loaded = await loadModel(model, device);
  const { metadata, network } = loaded;
  const batches = picturesFor(metadata, description);
  const { version, batches: theirs } = await runInOnnxRuntime(file, batches);
  const bound = fp16 ? exportBounds.float16 : exportBounds.float32;
  const threshold = metadata.calibration?.threshold;
  const worst = { score: 0, map: 0, heatmap: 0 };
  let pictures = 0;
  let same = 0;
  for (const [b, batch] of batches.entries()) {
    for (const [i, picture] of batch.entries()) {
      const { pixels, height, width } = fitPixels(
        { ...picture, channels: 3 },
        { channels: metadata.input.channels, stored: storedFor(metadata, description) },
      );
      const images = [{ pixels: 0, mask: null, height, width, label: 0 as const }];
      using store = device.createImageStore({ channels: metadata.input.channels, bytes: pixels, images });
      const ours = await network.inferImages(
        store,
        metadata.pipeline,
        { first: 0, count: 1 },
        { sigma: metadata.sigma, low: true, maps: true },
      );
      const other = pictureOf(theirs[b]!, i, batch.length);
      worst.score = Math.max(worst.score, relativeDistance(other.score, ours.scores));
      worst.map = Math.max(worst.map, relativeDistance(other.map, ours.low!));
      worst.heatmap = Math.max(worst.heatmap, relativeDistance(other.heatmap, ours.maps!));
      pictures += 1;
      if (threshold !== undefined && sameVerdict(ours.scores[0]!, other.score[0]!, threshold, bound))
        same += 1;
    }
  }
  const sameVerdicts = threshold === undefined ? null : same;
  const passed = Math.max(...Object.values(worst)) <= bound && (sameVerdicts ?? pictures) === pictures;
  return { version, pictures, ...worst, bound, sameVerdicts, passed };
}

/** A picture at the size that the file asks for is not resized again. */
function storedFor({ stored }: ModelMetadata, { height, width }: ExportDescription): ModelMetadata['stored'] {
  return height === null || width === null ? stored : { ...stored, fit: 'exact', height, width };
}

/** Noise, a smooth picture with a bright spot, one grey level; with --dynamic in a batch, and at further sizes. */
function picturesFor({ stored }: ModelMetadata, { height, width }: ExportDescription): Pictures {
  const random = seededRandom(1);
  const noise = () => random.below(256);
  const smooth = (y: number, x: number, c: number) =>
    128 + 60 * Math.sin(5 * y + c) + 50 * Math.cos(4 * x) + (Math.hypot(y - 0.3, x - 0.6) < 0.1 ? 70 : 0);
  const grey = () => 117;
  const make = (h: number, w: number, value: (y: number, x: number, c: number) => number): Picture => {
    const at = (i: number) => value(Math.floor(i / (3 * w)) / h, (Math.floor(i / 3) % w) / w, i % 3);
    return { height: h, width: w, data: clampedBytes(h * w * 3, at) };
  };
  if (height !== null && width !== null) {
    return [noise, smooth, grey].map((value) => [make(height, width, value)]);
  }
  const [h, w] = [stored.height, stored.width];
  return [
    [make(h, w, noise), make(h, w, smooth), make(h, w, grey)],
    [make(2 * h + 3, 3 * w - 1, noise)],
    [make(Math.ceil(0.8 * h), Math.ceil(1.7 * w), smooth)],
  ];
}

function clampedBytes(length: number, value: (i: number) => number): Uint8Array {
  return new Uint8Array(Uint8ClampedArray.from({ length }, (_, i) => value(i)).buffer);
}

function pictureOf({ score, map, heatmap }: RunOutputs, i: number, count: number): RunOutputs {
  const part = (values: Float32Array): Float32Array => {
    const size = values.length / count;
    return values.subarray(i * size, (i + 1) * size);
  };
  return { score: part(score), map: part(map), heatmap: part(heatmap) };
}

/** Scores that differ by rounding may fall on either side of a threshold between them. */
function sameVerdict(ours: number, theirs: number, threshold: number, bound: number): boolean {
  if (isAnomalous(ours, threshold) === isAnomalous(theirs, threshold)) return true;
  return Math.abs(ours - threshold) <= bound * Math.abs(threshold);
}

/** Runs the file in a process of its own. */
function runInOnnxRuntime(
  file: string,
  pictures: Pictures,
): Promise<Exclude<RunAnswer, { problem: string }>> {
  const request: RunRequest = {
    file,
    batches: pictures.map((batch) => ({
      pixels: Uint8Array.from(Buffer.concat(batch.map(({ data }) => data))),
      shape: [batch.length, batch[0]!.height, batch[0]!.width, 3],
    })),
  };
  return new Promise((resolve, reject) => {
    const script = fileURLToPath(new URL('./export-run.js', import.meta.url));
    const child = fork(script, [], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), patience * 1000);
    let answer: RunAnswer | undefined;
    let complaint = '';
    child.stderr!.on('data', (chunk) => (complaint += chunk));
    child.on('message', (message) => {
      answer = message as RunAnswer;
    });
    child.on('error', (cause) =>
      reject(new FcddError('FCDD_DEVICE', `cannot start ONNX Runtime: ${cause.message}`)),
    );
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (answer === undefined) {
        const how = signal === 'SIGKILL' ? `gave no answer in ${patience} s` : `ended with ${signal ?? code}`;
        const last = complaint.trim().split('\n').at(-1) ?? '';
        reject(new FcddError('FCDD_BAD_MODEL', `ONNX Runtime ${how} on ${file}${last ? `: ${last}` : ''}`));
      } else if (!('problem' in answer)) {
        resolve(answer);
      } else if (answer.missing) {
        reject(
          new FcddError(
            'FCDD_NOT_FOUND',
            'onnxruntime-node, which checks the exported file, is not installed',
            {
              hint: 'npm install onnxruntime-node (ONNXRUNTIME_NODE_INSTALL=skip keeps it from downloading CUDA), or --no-verify',
            },
          ),
        );
      } else {
        reject(new FcddError('FCDD_BAD_MODEL', `ONNX Runtime refuses ${file}: ${answer.problem}`));
      }
    });
    child.send(request);
  });
}
