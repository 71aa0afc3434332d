import { writeFile } from 'node:fs/promises';
import type { CommandModule } from 'yargs';
import { bench as runBench } from '../benchmark/compare.js';
import {
  type BenchOptions,
  type BenchRow,
  type PeerName,
  peers,
  type Suite,
  suites,
} from '../benchmark/types.js';
import { describeDevice } from '../engine/index.js';
import type { CpuIsa } from '../engine/types.js';
import { deviceOptions, givenDevice } from './device.js';
import { log, percent, printJson } from './output.js';

export const bench: CommandModule = {
  command: 'bench',
  describe: 'times operations, inference and training, beside ONNX Runtime and PyTorch if asked for',
  builder: (yargs) =>
    yargs
      .options({
        suite: {
          choices: suites,
          array: true,
          default: ['inference', 'train'],
          describe:
            'what to time: single operations, inference up to the scores, whole training steps, what all threads gain over one',
        },
        model: {
          type: 'string',
          array: true,
          describe:
            'architectures [default: vgg11, cnn224-w, cnn32-lw3k for inference; vgg11-f, cnn28-w, cnn32-lw3k to train]',
        },
        'batch-size': {
          type: 'number',
          array: true,
          describe:
            'images per call [default: 1 and 8 for inference; to train 16, cnn28-w 128, cnn32-lw3k 20 and 200]',
        },
        peer: {
          choices: peers,
          array: true,
          default: [] as string[],
          describe: 'measure it too, turn by turn; it is an error when it is missing',
        },
        isa: {
          choices: ['baseline', 'avx2', 'avx512'],
          describe: 'instruction set of the cpu, PyTorch held to the same [default: the best it has]',
        },
        ...deviceOptions,
        device: { ...deviceOptions.device, default: 'cpu', describe: 'cpu, cuda, cuda:1 … or auto' },
        rounds: { type: 'number', default: 3, describe: 'turns of each; the median counts' },
        seconds: { type: 'number', default: 3, describe: 'least time per measurement' },
        out: { type: 'string', describe: 'write the JSON to this file too' },
        json: {
          type: 'boolean',
          default: false,
          describe: 'one JSON object as the last line of standard output',
        },
      })
      .example('$0 bench', 'our own figures')
      .example(
        '$0 bench --suite ops',
        'each operation, checked against the reference, beside the roofs of the machine',
      )
      .example('$0 bench --suite scaling', 'two threads and more beside one')
      .example('$0 bench --isa avx2 --peer pytorch', 'both held to AVX2')
      .example('$0 bench --peer onnxruntime --peer pytorch --json', 'beside the peers in the same run')
      .strict(),
  handler: async (argv) => {
    const options: BenchOptions = {
      suites: argv.suite as Suite[],
      peers: argv.peer as PeerName[],
      seconds: Number(argv.seconds),
      rounds: Number(argv.rounds),
      onNote: log,
      onRow: (row) => log(row.suite === 'ops' ? opLine(row) : line(row)),
      ...givenDevice(argv as Record<string, unknown>),
      ...(argv.isa === undefined ? {} : { isa: argv.isa as CpuIsa }),
      ...(argv.model === undefined ? {} : { models: argv.model as string[] }),
      ...(argv['batch-size'] === undefined ? {} : { batches: argv['batch-size'] as number[] }),
    };
    const result = await runBench(options);
    log(`${result.machine.cpu}, ${describeDevice(result.device)}`);
    for (const { suite, model, batch, gain, probeGain, share, copiesGain } of result.scaling ?? [])
      log(
        `${suite} ${model}, batch ${batch}: ${result.threads} threads gain ${gain.toFixed(2)}×, FMA alone ${probeGain.toFixed(2)}×: ${percent(share)}` +
          (copiesGain === null ? '' : `; separate copies of the same ${copiesGain.toFixed(2)}×`),
      );
    for (const [name, facts] of Object.entries(result.peers)) log(`${name}: ${JSON.stringify(facts)}`);
    if (result.peaks) {
      const { gflops, gigabytes } = result.peaks;
      log(`peaks: ${gflops.toFixed(0)} GFLOP/s of FMA, ${gigabytes.toFixed(1)} GB/s of copying`);
    }
    if (argv.out !== undefined) await writeFile(String(argv.out), `${JSON.stringify(result, null, 1)}\n`);
    if (argv.json === true) printJson(result);
  },
};

function opLine({ model, ms, gflops, fmaShare, gigabytes, error }: BenchRow): string {
  const share = fmaShare === undefined ? '' : ` (${percent(fmaShare)} of the peak)`;
  return `${model.padEnd(32)} ${ms.toFixed(2).padStart(9)} ms  ${gflops!.toFixed(0).padStart(6)} GFLOP/s${share}  ${gigabytes!.toFixed(1).padStart(6)} GB/s  error ${error!.toExponential(1)}`;
}

function line(row: BenchRow): string {
  const { suite, model, batch, ms, imagesPerSecond, fmaShare, error, peer, peerMs, ratio } = row;
  const own = `${suite.padEnd(10)} ${model.padEnd(12)} batch ${String(batch).padEnd(4)} ${ms.toFixed(1).padStart(8)} ms  ${imagesPerSecond.toFixed(0).padStart(6)} images/s`;
  const share = fmaShare === undefined ? '' : `  ${percent(fmaShare)} of the peak`;
  const accuracy = `${share}${error === null ? '' : `  error ${error.toExponential(1)}`}`;
  return ratio === null
    ? `${own}${accuracy}`
    : `${own}${accuracy}   ${peer} ${peerMs!.toFixed(1)} ms   ${ratio.toFixed(2)}×`;
}
