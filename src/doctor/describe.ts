/** The report as lines for people: what is there, what works, and what to do about what does not. */
import { mebibytes } from '../training/estimate.js';
import type { DeviceReport, LibraryReport, Report } from './types.js';

const width = 14;
const line = (name: string, text: string): string => `  ${name.padEnd(width)}${text}`;
const more = (text: string): string => line('', text);

export function describeReport(report: Report): string[] {
  return [
    'fcdd-native',
    ...versionLines(report),
    '',
    'Processor',
    ...cpuLines(report),
    '',
    'GPU',
    ...report.libraries.flatMap(libraryLines),
    ...(report.libraries.length === 0 ? [more('nothing can be said without the addon')] : []),
    '',
    'Self-test: a small convolution beside the reference',
    ...(report.devices.length === 0 ? [line('none', '')] : report.devices.flatMap(deviceLines)),
    '',
    conclusion(report),
  ];
}

function versionLines({ versions, addon }: Report): string[] {
  const lines = [
    line('version', versions.package),
    line('Node', `${versions.node}, ${versions.platform}; sharp ${versions.sharp}`),
    line('addon', addon.loads ? 'loads' : 'cannot be loaded'),
  ];
  for (const text of [addon.problem, addon.hint]) {
    if (text) lines.push(...text.split('\n').map(more));
  }
  return lines;
}

function cpuLines({ cpu }: Report): string[] {
  return [
    line('model', `${cpu.model}, ${cpu.processors} logical processors`),
    line('memory', `${mebibytes(cpu.memoryBytes)}, ${mebibytes(cpu.freeBytes)} free`),
    ...(cpu.threads === null
      ? []
      : [line('engine', `${cpu.threads} threads; instruction sets: ${cpu.isas.join(', ')}`)]),
  ];
}

/** The library for tests is a line only where somebody built it. */
function libraryLines(library: LibraryReport): string[] {
  const { device, path, found, loads, problem, hint, facts } = library;
  if (device === 'cuda-emulated')
    return loads ? [line('for tests', `${path} (no GPU: kernels on the processor)`)] : [];
  if (!found) return [line('library', problem ?? 'not built'), ...(hint ? [more(hint)] : [])];
  if (!loads) return [line('library', path), more(problem ?? 'does not load'), ...(hint ? [more(hint)] : [])];
  const lines = [line('library', path)];
  if (!facts) return lines;
  const built = facts.architectures.map((number) => `sm_${number}`).join(', ');
  lines.push(more(`loads; CUDA ${facts.runtime}, built for ${built}`));
  lines.push(line('driver', facts.driver === null ? 'not found' : `supports CUDA ${facts.driver}`));
  for (const [index, gpu] of facts.gpus.entries()) {
    const { name, architecture, processors, memory, free } = gpu;
    lines.push(
      line(
        `cuda:${index}`,
        `${name}, sm_${architecture}, ${processors} multiprocessors, ${mebibytes(memory)}, ${mebibytes(free)} free`,
      ),
    );
  }
  for (const text of facts.problem?.split('\nhint: ') ?? []) lines.push(more(text));
  return lines;
}

function deviceLines({
  device,
  detail,
  passed,
  difference,
  milliseconds,
  problem,
  hint,
}: DeviceReport): string[] {
  if (passed) {
    const exact = difference === 0 ? 'equal' : `${difference!.toExponential(1)} away`;
    return [line(device, `ok    ${detail}: ${exact}, ${milliseconds!.toFixed(1)} ms`)];
  }
  return [line(device, `FAILS ${problem}`), ...(hint ? [more(`      ${hint}`)] : [])];
}

function conclusion({ ok, devices, addon }: Report): string {
  if (!addon.loads) return 'The engine is not built: see above.';
  if (!ok)
    return 'The cpu device does not work: please report this with the output of fcdd-native doctor --json.';
  const gpus = devices.filter(({ device }) => /^cuda(:\d+)?$/.test(device));
  if (gpus.some(({ passed }) => passed)) return 'All is well: --device auto uses the GPU.';
  return gpus.length > 0
    ? 'The cpu works; the GPU does not, so --device auto uses the cpu.'
    : 'The cpu works, so everything does; without a GPU training is slower.';
}
