import { join } from 'node:path';
import type { CommandModule } from 'yargs';
import { FcddError } from '../errors.js';
import { type BaselineMethod, baselineMethods, compareBaselines } from '../training/baselines.js';
import { createTrainingBar, figure, log, printJson, stopSignal } from './output.js';

export const baselines: CommandModule = {
  command: 'baselines <run>',
  describe: 'repeat a finished run with the baselines of the paper, and show the same images side by side',
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'folder of a finished run' })
      .options({
        methods: {
          type: 'string',
          default: 'hsc,ae',
          describe: 'hsc (hypersphere classification), ae (autoencoder), dsvdd (Deep SVDD)',
        },
        epochs: { type: 'number', describe: "passes over the training images [default: the run's]" },
        out: { type: 'string', describe: 'folder of the comparison [default: RUN/baselines]' },
        json: {
          type: 'boolean',
          default: false,
          describe: 'one JSON object as the last line of standard output',
        },
      })
      .example('$0 baselines runs/demo-metal-1', 'HSC and autoencoder beside FCDD')
      .example('$0 baselines runs/demo-metal-1 --methods hsc,ae,dsvdd --epochs 10', 'all three, shorter')
      .strict(),
  handler: async (argv) => {
    const stop = stopSignal();
    const bar = createTrainingBar();
    const result = await compareBaselines(
      String(argv.run),
      {
        methods: methodList(String(argv.methods)),
        ...(argv.epochs === undefined ? {} : { epochs: Number(argv.epochs) }),
        ...(argv.out === undefined ? {} : { out: String(argv.out) }),
      },
      {
        signal: stop.signal,
        onNote: (text) => bar.line(text),
        onWarning: (text) => bar.line(`warning: ${text}`),
        onProgress: (progress) => bar.update(progress),
      },
    );
    bar.stop();
    if (result.finished) {
      for (const { method, sample, pixel } of result.figures)
        log(`${method.padEnd(6)} image ROC-AUC ${figure(sample)}  pixel ROC-AUC ${figure(pixel)}`);
      log(`open ${join(result.out, 'index.html')}`);
    } else {
      log('stopped; the same command goes on');
    }
    if (argv.json === true) printJson(result);
    const code = stop.exitCode();
    if (!result.finished && code !== undefined) process.exitCode = code;
  },
};

function methodList(text: string): BaselineMethod[] {
  const names = text.split(',').map((part) => part.trim());
  const known = (name: string): name is BaselineMethod =>
    (baselineMethods as readonly string[]).includes(name);
  if (names.every(known) && names.length === new Set(names).size) return names;
  throw new FcddError(
    'FCDD_USAGE',
    `--methods: expected some of ${baselineMethods.join(', ')}, each once, received "${text}"`,
  );
}
