import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { bench } from '../../src/benchmark/compare.js';
import { openDevice, ops } from '../../src/engine/index.js';
import { architecture } from '../../src/models/index.js';
import { multiplyAdds } from '../../src/models/operations.js';
import { tolerances } from '../engine/helpers.js';

const short = { seconds: 0.02, rounds: 2, threads: 1 };

const runtime = (() => {
  try {
    return createRequire(import.meta.url).resolve('onnxruntime-node');
  } catch {
    return undefined;
  }
})();
if (runtime === undefined) console.warn('skipped: onnxruntime-node is not installed');

describe('benchmarks', () => {
  it('time inference and training without a peer, the output compared with the reference', async () => {
    const models = { models: ['cnn28'], batches: [2] };
    const { results, isa, threads } = await bench({
      suites: ['inference', 'train'],
      peers: [],
      ...models,
      ...short,
    });
    expect(isa).not.toBe('');
    expect(threads).toBe(1);
    expect(results.map(({ suite, model, batch }) => [suite, model, batch])).toEqual([
      ['inference', 'cnn28', 2],
      ['train', 'cnn28', 2],
    ]);
    for (const { ms, imagesPerSecond, peer, ratio, spread } of results) {
      expect(ms).toBeGreaterThan(0);
      expect(imagesPerSecond).toBeCloseTo(2000 / ms, 6);
      expect(spread[0]).toBeLessThanOrEqual(spread[1]);
      expect([peer, ratio]).toEqual([null, null]);
    }
    expect(results[0]!.error).toBeLessThan(tolerances.opFloat32);
  });

  it.skipIf(runtime === undefined)('put ONNX Runtime beside ours', async () => {
    const { results, peers } = await bench({
      ...{ suites: ['inference'], peers: ['onnxruntime'], models: ['cnn32-s'], batches: [1] },
      ...short,
    });
    expect(peers.onnxruntime).toMatchObject({ provider: 'cpu' });
    expect(results).toHaveLength(1);
    expect(results[0]!.ratio).toBeCloseTo(results[0]!.peerMs! / results[0]!.ms, 9);
  });

  it('hold ours to an instruction set and say what share of the peak the direct algorithm would take', async () => {
    const { results, isa, peaks, commit } = await bench({
      ...{ suites: ['inference', 'train'], peers: [], models: ['cnn28'], batches: [2], isa: 'baseline' },
      ...short,
    });
    expect(isa).toBe('baseline');
    if (commit !== null) expect(commit).toMatch(/^[0-9a-f]+\+?$/); // null: no checkout
    for (const { gflops, fmaShare } of results) expect(fmaShare! * peaks!.gflops).toBeCloseTo(gflops!, 9);
    // Three convolutions: all forward and for their weights, all but the first for their inputs.
    const { layers, input } = architecture('cnn28');
    const [forward, whole] = [
      multiplyAdds(layers({ bias: true }), input, 'inference'),
      multiplyAdds(layers({ bias: true }), input, 'train'),
    ];
    expect(whole).toBe(3 * forward - 28 * 28 * 8 * 5 * 5);
    expect(results[1]!.gflops! * results[1]!.ms * 1e6).toBeCloseTo(2 * 2 * whole, -1);
  });

  it('refuse what they cannot measure', async () => {
    await expect(bench({ suites: ['scaling'], peers: [], ...short })).rejects.toThrow(/at least two threads/);
    await expect(bench({ suites: ['ops'], models: ['cnn28'], peers: [], ...short })).rejects.toThrow(
      /no layers of cnn28/,
    );
  });

  it('refuse a peer that is missing', async () => {
    const before = process.env.FCDD_PYTHON;
    process.env.FCDD_PYTHON = '/nonexistent/python';
    try {
      await expect(bench({ suites: ['train'], peers: ['pytorch'], ...short })).rejects.toThrow(
        /PyTorch is missing/,
      );
    } finally {
      if (before === undefined) delete process.env.FCDD_PYTHON;
      else process.env.FCDD_PYTHON = before;
    }
  });

  it('time single operations as often as asked, with the same results', async () => {
    using device = openDevice('cpu', { threads: 1 });
    const problem = { batch: 1, height: 4, width: 5, channels: 2, filters: 3, kernel: 3, padding: 1 };
    const operands = { x: Float32Array.from({ length: 40 }, (_, i) => i), w: new Float32Array(54).fill(0.5) };
    const { results, milliseconds } = await ops.time(device, 'conv2d', problem, operands, 4);
    expect(milliseconds).toHaveLength(4);
    expect(milliseconds.every((ms) => ms > 0)).toBe(true);
    expect(results.y).toEqual((await ops.conv2d(device, problem, operands)).y);
    const roofs = await ops.peaks(device);
    expect(roofs.gflops).toBeGreaterThan(0.5);
    expect(roofs.gigabytes).toBeGreaterThan(0.1);
    using reference = openDevice('reference');
    await expect(ops.peaks(reference)).rejects.toThrow(/cpu device/);
  });
});
