/** Examines this installation: versions, processor, device libraries, driver, GPUs, and a small test of each device. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus, freemem, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { ops } from '../engine/index.js';
import { native } from '../engine/native.js';
import type { FcddError } from '../errors.js';
import { packageVersion } from '../training/versions.js';
import type { CpuFacts, DeviceReport, LibraryReport, Report } from './types.js';

/** Milliseconds until a probe counts as hanging; a driver that starts takes a few seconds. */
const patience = 120_000;

export async function examine(onNote: (text: string) => void = () => {}): Promise<Report> {
  const addon = examineAddon();
  const libraries: LibraryReport[] = [];
  const devices: DeviceReport[] = [];
  if (addon.loads) {
    for (const { device, path } of native().deviceLibraries()) {
      onNote(`loading ${path}`);
      libraries.push(await examineLibrary(device, path));
    }
    for (const device of devicesToTry(libraries)) {
      onNote(`trying ${device}`);
      devices.push(await examineDevice(device));
    }
  }
  return {
    ok: devices.some(({ device, passed }) => device === 'cpu' && passed),
    versions: {
      package: packageVersion,
      node: process.versions.node,
      sharp: sharp.versions.sharp ?? 'unknown',
      platform: `${process.platform}-${process.arch}`,
    },
    addon,
    cpu: cpuFacts(addon.loads),
    libraries,
    devices,
  };
}

function examineAddon(): Report['addon'] {
  try {
    native();
    return { loads: true, problem: null, hint: null };
  } catch (error) {
    const { message, hint } = error as FcddError;
    return { loads: false, problem: message, hint: hint ?? null };
  }
}

function cpuFacts(hasAddon: boolean): CpuFacts {
  const { isas, threads } = hasAddon ? ops.cpuInfo() : { isas: [], threads: null };
  return {
    model: cpus()[0]?.model.trim() ?? 'unknown',
    processors: cpus().length,
    threads,
    isas,
    memoryBytes: totalmem(),
    freeBytes: freemem(),
  };
}

/** The processor's always; of a library that loads each GPU it finds. */
function devicesToTry(libraries: readonly LibraryReport[]): string[] {
  const names = ['cpu', 'reference'];
  for (const { device, loads, facts } of libraries) {
    if (!loads) continue;
    const gpus = facts?.gpus.length ?? 1;
    for (let i = 0; i < gpus; i++) names.push(i === 0 ? device : `${device}:${i}`);
  }
  return names;
}

async function examineLibrary(device: string, path: string): Promise<LibraryReport> {
  const found = existsSync(path);
  const answer = await probe<Pick<LibraryReport, 'loads' | 'problem' | 'hint' | 'facts'>>([
    'library',
    device,
  ]);
  if (typeof answer === 'object') return { device, path, found, ...answer };
  return { device, path, found, loads: false, problem: answer, hint: null, facts: null };
}

async function examineDevice(device: string): Promise<DeviceReport> {
  const answer = await probe<DeviceReport>(['device', device]);
  if (typeof answer === 'object') return answer;
  return {
    device,
    detail: null,
    passed: false,
    difference: null,
    milliseconds: null,
    problem: answer,
    hint: null,
  };
}

/** The answer of probe.js, or what became of it. */
function probe<T>(args: string[]): Promise<T | string> {
  const script = fileURLToPath(new URL('./probe.js', import.meta.url));
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const text = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (text.stdout += chunk));
    child.stderr.on('data', (chunk) => (text.stderr += chunk));
    const timer = setTimeout(() => child.kill('SIGKILL'), patience);
    child.on('error', (error) => resolve(`a process to try it in could not be started: ${error.message}`));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      try {
        resolve(JSON.parse(text.stdout.trim().split('\n').at(-1) ?? '') as T);
      } catch {
        const how =
          signal === 'SIGKILL'
            ? `gave no answer in ${patience / 1000} s`
            : `crashed (${signal ?? `exit ${code}`})`;
        const last = text.stderr.trim().split('\n').at(-1);
        resolve(`the process that tried it ${how}${last ? `: ${last}` : ''}`);
      }
    });
  });
}
