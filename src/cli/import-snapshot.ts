import { basename, dirname, extname, join } from 'node:path';
import type { CommandModule } from 'yargs';
import type { PublishedDataSet } from '../data/normalisation.js';
import type { Preprocessing } from '../data/types.js';
import { importSnapshot, noThreshold } from '../models/import-snapshot.js';
import { architectures } from '../models/index.js';
import { snapshotDataSets } from '../models/snapshot.js';
import { log, printJson } from './output.js';

export const importSnapshotCommand: CommandModule = {
  command: 'import-snapshot <file>',
  describe: 'a snapshot of the reference code (liznerski/fcdd, as safetensors) as a model of ours',
  builder: (yargs) =>
    yargs
      .positional('file', {
        type: 'string',
        demandOption: true,
        describe: 'state dict of the network, converted to safetensors',
      })
      .options({
        dataset: {
          choices: snapshotDataSets,
          demandOption: true,
          describe: 'what it was trained on: a snapshot holds no constants',
        },
        class: { type: 'string', demandOption: true, describe: 'the normal class, by name or index' },
        model: {
          choices: architectures.map((a) => a.name),
          describe: 'among networks of the same shapes [default: recognised]',
        },
        preprocessing: {
          choices: ['lcnaug1', 'aug1'],
          describe: "with local contrast normalisation, or without [default: the data set's]",
        },
        calibrate: { type: 'string', describe: 'folder of normal pictures, for a threshold' },
        'false-alarm-rate': {
          type: 'number',
          describe: 'share of normal pictures that may be called anomalous [default: 0.05]',
        },
        out: { type: 'string', describe: 'file to write [default: FILE with .model.safetensors]' },
        json: {
          type: 'boolean',
          default: false,
          describe: 'one JSON object as the last line of standard output',
        },
      })
      .example('$0 import-snapshot snapshot.safetensors --dataset mvtec --class carpet', 'weights of a run')
      .example(
        '$0 import-snapshot s.safetensors --dataset mvtec --class 3 --calibrate carpet/held-out/',
        'with a threshold',
      )
      .strict(),
  handler: async (argv) => {
    const file = String(argv.file);
    const stem = join(dirname(file), basename(file, extname(file)));
    const out = argv.out === undefined ? `${stem}.model.safetensors` : String(argv.out);
    const metadata = await importSnapshot(file, out, {
      dataset: argv.dataset as PublishedDataSet,
      class: String(argv.class),
      ...(argv.model === undefined ? {} : { model: String(argv.model) }),
      ...(argv.preprocessing === undefined ? {} : { preprocessing: argv.preprocessing as Preprocessing }),
      ...(argv.calibrate === undefined ? {} : { calibrate: String(argv.calibrate) }),
      ...(argv['false-alarm-rate'] === undefined ? {} : { falseAlarmRate: Number(argv['false-alarm-rate']) }),
    });
    const { architecture, dataset, className, preprocessing, calibration } = metadata;
    const threshold = calibration?.threshold ?? null;
    log(`${out}: ${architecture}, ${dataset} ${className}, ${preprocessing}`);
    log(
      calibration
        ? `threshold ${threshold!.toPrecision(4)}: ${calibration.rule}`
        : `no threshold: ${noThreshold}`,
    );
    if (argv.json === true) {
      const reason = calibration ? null : noThreshold;
      printJson({ out, architecture, dataset, class: className, preprocessing, threshold, reason });
    }
  },
};
