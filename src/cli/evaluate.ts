import type { CommandModule } from 'yargs';
import { evaluate as evaluateModel } from '../training/evaluate.js';
import { deviceOptions, givenDevice } from './device.js';
import { figureLines } from './figures.js';
import { log, percent, printJson } from './output.js';

export const evaluate: CommandModule = {
  command: 'evaluate <model>',
  describe: 'figures of a trained model on a labelled test split',
  builder: (yargs) =>
    yargs
      .positional('model', {
        type: 'string',
        demandOption: true,
        describe: 'model.safetensors of a run folder',
      })
      .options({
        dataset: { type: 'string', describe: 'data set to evaluate on [default: the one it was trained on]' },
        data: { type: 'string', describe: 'its folder' },
        class: { type: 'string', describe: 'the normal class [default: the one it was trained on]' },
        'keep-oe-in-test': {
          type: 'boolean',
          describe: 'test on images that the model was trained on, too, as the published runs did',
        },
        threshold: { type: 'number', describe: "verdict threshold [default: the model's own]" },
        ...deviceOptions,
        json: {
          type: 'boolean',
          default: false,
          describe: 'one JSON object as the last line of standard output',
        },
      })
      .example('$0 evaluate runs/demo-1/model.safetensors', 'again on the data it was trained on')
      .example('$0 evaluate model.safetensors --dataset mvtec --data mvtec/ --class carpet', 'on other data')
      .strict(),
  handler: async (argv) => {
    const began = performance.now();
    const pick = (key: string): Record<string, unknown> =>
      argv[key] === undefined ? {} : { [key]: argv[key] };
    const { metrics, scored } = await evaluateModel(
      String(argv.model),
      {
        ...pick('dataset'),
        ...pick('data'),
        ...pick('class'),
        ...pick('threshold'),
        ...pick('keepOeInTest'),
        ...givenDevice(argv as Record<string, unknown>),
      },
      { onNote: log, onWarning: (text) => log(`warning: ${text}`) },
    );
    const seconds = (performance.now() - began) / 1000;
    for (const line of figureLines(metrics.sample, metrics.pixel)) log(line);
    if (metrics.verdicts) {
      const { falseAlarms, normal, detected, anomalous } = metrics.verdicts;
      log(
        `at its threshold ${percent(detected / anomalous)} of the defects are found, ${percent(falseAlarms / normal)} false alarms`,
      );
    }
    if (argv.json === true) {
      const imagesPerSecond = Number((scored.scores.length / seconds).toFixed(1));
      printJson({
        ...metrics,
        out: null,
        epochs: null,
        seconds: Number(seconds.toFixed(3)),
        imagesPerSecond,
      });
    }
  },
};
