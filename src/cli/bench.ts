import { writeFile } from 'node:fs/promises';
import type { CommandModule } from 'yargs';
import { type BenchOptions, type BenchRow, bench as runBench } from '../benchmark/compare.js';
import type { Suite } from '../benchmark/speed.js';
import { describeDevice } from '../engine/index.js';
import { deviceOptions, givenDevice } from './device.js';
import { log, printJson } from './output.js';

const suites = ['training', 'inference'] as const;

export const bench: CommandModule = {
  command: 'bench',
  describe: 'images per second of training and inference, beside PyTorch if asked for',
  builder: (yargs) =>
    yargs
      .options({
        suite: { choices: suites, array: true, default: [...suites], describe: 'what to time' },
        model: {
          type: 'string',
          array: true,
          default: ['cnn28-w', 'cnn32-lw3k', 'vgg11-nopt'],
          describe: 'architectures',
        },
        'batch-size': {
          type: 'number',
          describe: 'images per call [default: 128 for cnn28-w, 20 for cnn32-lw3k, else 16]',
        },
        peer: {
          choices: ['pytorch'],
          describe: 'measure it too, turn by turn (needs a Python that imports torch)',
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
      .example('$0 bench --peer pytorch --json', 'beside PyTorch in the same run')
      .strict(),
  handler: async (argv) => {
    const options: BenchOptions = {
      models: argv.model as string[],
      suites: argv.suite as Suite[],
      seconds: Number(argv.seconds),
      rounds: Number(argv.rounds),
      onNote: log,
      ...givenDevice(argv as Record<string, unknown>),
    };
    if (argv['batch-size'] !== undefined) options.batch = Number(argv['batch-size']);
    if (argv.peer === 'pytorch') options.peer = 'pytorch';
    const result = await runBench(options);
    log(`${result.machine.cpu}, ${describeDevice(result.device)}`);
    for (const row of result.results) log(line(row));
    if (argv.out !== undefined) await writeFile(String(argv.out), `${JSON.stringify(result, null, 1)}\n`);
    if (argv.json === true) printJson(result);
  },
};

function line({ suite, model, batch, ms, imagesPerSecond, peer, peerMs, ratio }: BenchRow): string {
  const own = `${suite.padEnd(10)} ${model.padEnd(12)} batch ${String(batch).padEnd(4)} ${ms.toFixed(1).padStart(8)} ms  ${imagesPerSecond.toFixed(0).padStart(6)} images/s`;
  return ratio === null ? own : `${own}   ${peer} ${peerMs!.toFixed(1)} ms   ${ratio.toFixed(2)}×`;
}
