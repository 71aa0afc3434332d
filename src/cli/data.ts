import { writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { checkData } from '../data/check/check.js';
import { checkableNames } from '../data/check/listing.js';
import type { CheckedData } from '../data/check/types.js';
import { catalogue } from '../data/prepare/catalogue.js';
import { prepareData } from '../data/prepare/prepare.js';
import { type PreparedData, preparableNames } from '../data/prepare/types.js';
import { diskError } from '../files.js';
import { renderDataPreview } from '../reports/data-preview.js';
import { exitCodes, log, printJson, stopSignal } from './output.js';

const json = {
  type: 'boolean',
  default: false,
  describe: 'one JSON object as the last line of standard output',
} as const;

const prepare: CommandModule = {
  command: 'prepare <name>',
  describe: 'from what its owner publishes to a folder that train opens; resumable',
  builder: (yargs) =>
    yargs
      .positional('name', { choices: preparableNames, demandOption: true, describe: 'the data set' })
      .options({
        from: {
          type: 'string',
          array: true,
          requiresArg: true,
          describe: 'archive, folder of archives or unpacked data, or URL; may be given several times',
        },
        data: {
          type: 'string',
          describe: 'folder below which <data set>/ is made [default: $FCDD_DATA, else data]',
        },
        checksum: {
          type: 'boolean',
          describe: 'check sums of archives that are read in place, however large [default: up to 16 GiB]',
        },
        json,
      })
      .example('$0 data prepare mvtec --from mvtec_anomaly_detection.tar.xz --data data/', 'unpacks it')
      .example('$0 data prepare fashion-mnist --from downloads/ --data data/', 'a folder with its four files')
      .example(
        '$0 data prepare imagenet --from ILSVRC2012_img_val.tar --from ILSVRC2012_devkit_t12.tar.gz --data data/',
        'reads tars in place: makes an index',
      )
      .example('$0 data prepare imagenet22k --from fall11_whole.tar --data data/', 'never unpacked')
      .epilogue(
        `Where the data sets are published:\n${preparableNames.map((name) => `  ${name.padEnd(14)}${catalogue[name].page}`).join('\n')}`,
      )
      .strict(),
  handler: async (argv) => {
    const stop = stopSignal();
    const bar = progressLines();
    const prepared = await prepareData(String(argv.name), {
      from: (argv.from as string[] | undefined) ?? [],
      data: String(argv.data ?? process.env.FCDD_DATA ?? 'data'),
      ...(argv.checksum === undefined ? {} : { checksum: argv.checksum === true }),
      signal: stop.signal,
      onNote: log,
      onWarning: (text) => log(`warning: ${text}`),
      onProgress: bar,
    }).catch((error) => {
      const code = stop.exitCode();
      if (code === undefined) throw error;
      log((error as Error).message);
      process.exit(code);
    });
    reportPrepared(prepared);
    if (argv.json === true) printJson(prepared);
    if (!prepared.complete) process.exitCode = exitCodes.failure;
  },
};

function reportPrepared({ dataset, folder, counts, missing, complete }: PreparedData): void {
  const list = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  log(`${catalogue[dataset].title} in ${folder}: ${list.join(', ')}`);
  for (const part of missing) log(`missing: ${part}`);
  log(`licence: ${catalogue[dataset].licence}; published at ${catalogue[dataset].page}`);
  if (complete) log(`ready: ${nextCommand(dataset, dirname(folder))}`);
}

function nextCommand(dataset: PreparedData['dataset'], data: string): string {
  const path = relative('', data) || '.';
  if (dataset === 'imagenet22k') return `fcdd-native train --oe imagenet22k --data ${path} …`;
  return `fcdd-native train --dataset ${dataset === 'voc' ? 'pascal-voc' : dataset} --data ${path}`;
}

const check: CommandModule = {
  command: 'check <name>',
  describe: 'decodes a data set and lists classes, counts, sizes, unreadable files, missing masks',
  builder: (yargs) =>
    yargs
      .positional('name', {
        choices: checkableNames,
        demandOption: true,
        describe: 'the data set; folder and mvtec for your own pictures',
      })
      .options({
        data: { type: 'string', describe: 'its folder, or one that holds <data set>/ (else $FCDD_DATA)' },
        class: { type: 'string', describe: 'only this category or class (mvtec, folder)' },
        preview: { type: 'string', describe: 'write a sheet with a few pictures of each class to this PNG' },
        json,
      })
      .example('$0 data check mvtec --data line7/ --preview line7.png', 'your own, laid out like MVTec AD')
      .example('$0 data check imagenet --data data/', 'a sample of 500 pictures is decoded')
      .strict(),
  handler: async (argv) => {
    const bar = progressLines();
    const { checked, preview } = await checkData(String(argv.name), {
      ...(argv.data === undefined ? {} : { data: String(argv.data) }),
      ...(argv.class === undefined ? {} : { className: String(argv.class) }),
      onProgress: (done, total) => bar('decode', done, total),
    });
    reportChecked(checked);
    if (argv.preview !== undefined) await writePreview(String(argv.preview), checked, preview);
    if (argv.json === true) printJson(checked);
    if (checked.unreadable.length > 0) process.exitCode = exitCodes.failure;
  },
};

async function writePreview(
  path: string,
  checked: CheckedData,
  preview: Parameters<typeof renderDataPreview>[1],
): Promise<void> {
  await writeFile(path, await renderDataPreview(checked, preview)).catch((cause) => {
    throw diskError(path, cause);
  });
  log(`wrote ${path}`);
}

/** Lines of a long list that are printed; --json has all of them. */
const shownLines = 40;

function reportChecked(checked: CheckedData): void {
  const { classes, sizes, unreadable, missingMasks, warnings } = checked;
  log(`${checked.dataset} in ${checked.where}`);
  shorten(
    classes.map(({ part, className, images }) => `  ${part.padEnd(6)} ${className.padEnd(28)} ${images}`),
  );
  const decoded = checked.checked < checked.images ? ` (${checked.checked} drawn and decoded)` : '';
  log(`${checked.images} pictures${decoded}; width×height: ${sizeList(sizes)}`);
  for (const warning of warnings) log(`warning: ${warning}`);
  shorten(missingMasks.map((name) => `no mask: ${name}`));
  shorten(
    unreadable.map(({ name, reason }) => `unreadable: ${reason.includes(name) ? '' : `${name}: `}${reason}`),
  );
  log(
    unreadable.length + missingMasks.length === 0
      ? 'nothing is wrong'
      : `${unreadable.length} unreadable files, ${missingMasks.length} missing masks`,
  );
}

function shorten(lines: string[]): void {
  for (const line of lines.slice(0, shownLines)) log(line);
  if (lines.length > shownLines) log(`  … and ${lines.length - shownLines} more`);
}

const sizeList = (sizes: Record<string, number>): string =>
  Object.entries(sizes)
    .map(([size, count]) => `${size} (${count})`)
    .join(', ') || 'none';

const lineEvery = 5000;

/** A line every few seconds: this may take hours. */
function progressLines(): (what: string, done: number, total: number) => void {
  let last = performance.now();
  return (what, done, total) => {
    if (performance.now() - last < lineEvery) return;
    last = performance.now();
    log(total > 0 ? `${what}: ${((100 * done) / total).toFixed(1)} %` : `${what}: ${done}`);
  };
}

export const data: CommandModule = {
  command: 'data <command>',
  describe: 'prepare published data sets, and check any',
  builder: (yargs: Argv) =>
    yargs
      .command(prepare)
      .command(check)
      .demandCommand(1, 'Name what to do: prepare or check')
      .example('$0 data prepare cifar10 --from cifar-10-binary.tar.gz --data data/', '')
      .strict(),
  handler: () => {},
};
