/**
 * Run as a child process by doctor.ts, so that a broken driver ends only this: probe.js library DEVICE | device NAME.
 * The last line of standard output is one JSON object.
 */

import { splitHint } from '../engine/call.js';
import { openDevice, ops } from '../engine/index.js';
import { native } from '../engine/native.js';
import type { DeviceName } from '../engine/types.js';
import { relativeDistance } from '../evaluation/distance.js';
import { bounds } from './bounds.js';
import type { DeviceReport, LibraryFacts, LibraryReport } from './types.js';

function problemOf(error: unknown): { problem: string; hint: string | null } {
  const { message, hint } = splitHint(error instanceof Error ? error.message : String(error));
  return { problem: message, hint: (error as { hint?: string }).hint ?? hint ?? null };
}

type LibraryProbe = Pick<LibraryReport, 'loads' | 'problem' | 'hint' | 'facts'>;

function probeLibrary(device: string): LibraryProbe {
  try {
    const text = native().libraryFacts(device);
    const facts = text === '' ? null : (JSON.parse(text) as LibraryFacts);
    return { loads: true, problem: null, hint: null, facts };
  } catch (error) {
    return { loads: false, ...problemOf(error), facts: null };
  }
}

/** A 3×3 convolution with odd sizes on the device and on the reference. */
async function selfTest(name: DeviceName): Promise<DeviceReport> {
  const report: DeviceReport = {
    device: name,
    detail: null,
    passed: false,
    difference: null,
    milliseconds: null,
    problem: null,
    hint: null,
  };
  try {
    using device = openDevice(name);
    report.detail = device.info.detail;
    using reference = openDevice('reference');
    const problem = { batch: 2, height: 7, width: 5, channels: 16, filters: 24, kernel: 3, padding: 1 };
    const values = (count: number, step: number): Float64Array =>
      Float64Array.from({ length: count }, (_, i) => Math.fround(Math.sin(1 + step * i)));
    const operands = { x: values(2 * 7 * 5 * 16, 0.7), w: values(24 * 16 * 9, 1.3), bias: values(24, 0.3) };
    const began = performance.now();
    const { y } = await ops.conv2d(device, problem, operands);
    report.milliseconds = performance.now() - began;
    const expected = (await ops.conv2d(reference, problem, operands)).y;
    report.difference = relativeDistance(y, expected);
    const bound = bounds.find(([isa]) => isa.test(device.info.isa))![1];
    report.passed = report.difference <= bound;
    if (!report.passed)
      report.problem = `a small convolution is ${report.difference.toExponential(1)} from the reference, at most ${bound} is right`;
  } catch (error) {
    Object.assign(report, problemOf(error));
  }
  return report;
}

const [, , what, name = ''] = process.argv;
const result = what === 'library' ? probeLibrary(name) : await selfTest(name as DeviceName);
process.stdout.write(`${JSON.stringify(result)}\n`);
