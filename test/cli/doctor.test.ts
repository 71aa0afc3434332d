import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bounds } from '../../src/doctor/bounds.js';
import type { Report } from '../../src/doctor/types.js';
import { tolerances } from '../engine/helpers.js';
import { temporaryFolder } from '../training/helpers.js';

const main = join(import.meta.dirname, '../../dist/cli/main.js');
const folder = await temporaryFolder();

function doctor(args: string[], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, [main, 'doctor', ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
}

describe('doctor', () => {
  it('prints one JSON object: versions, processor, libraries, and a test of each device', () => {
    const { status, stdout } = doctor(['--json']);
    expect(status).toBe(0);
    const report = JSON.parse(stdout) as Report;
    expect(report).toMatchObject({ ok: true, addon: { loads: true } });
    expect(report.versions.node).toBe(process.versions.node);
    expect(report.cpu.isas).toContain('baseline');
    expect(report.libraries.map(({ device }) => device)).toContain('cuda');
    const cpu = report.devices.find(({ device }) => device === 'cpu')!;
    expect(cpu.passed).toBe(true);
    expect(cpu.difference).toBeGreaterThan(0);
    expect(cpu.difference).toBeLessThanOrEqual(tolerances.opFloat32!);
  });

  it('says so to people', () => {
    const { status, stdout } = doctor([]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/cpu/);
    expect(stdout).toMatch(/CUDA|cuda/);
  });

  it('outlives a library that is none, and says which', async () => {
    const broken = join(folder, 'libfcdd_cuda.so');
    await writeFile(broken, 'not a library');
    const { status, stdout } = doctor(['--json'], { FCDD_CUDA_LIBRARY: broken });
    expect(status).toBe(0);
    const library = (JSON.parse(stdout) as Report).libraries.find(({ device }) => device === 'cuda')!;
    expect(library).toMatchObject({ loads: false, facts: null });
    expect(library.problem).toMatch(/libfcdd_cuda\.so|ELF|invalid|file too short/);
  });

  it('judges devices by the tolerances of the tests', () => {
    const named = (isa: string) => bounds.find(([pattern]) => pattern.test(isa))![1];
    const { opFloat32, opTf32, opBf16 } = tolerances;
    expect(['avx2', 'cuda sm_80 tf32', 'cuda sm_90 bf16'].map(named)).toEqual([opFloat32, opTf32, opBf16]);
  });
});
