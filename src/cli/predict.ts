import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import type { CommandModule } from 'yargs';
import { Detector, type DetectorOptions } from '../detector.js';
import { describeDevice } from '../engine/index.js';
import { FcddError } from '../errors.js';
import { writeFileAtomic } from '../files.js';
import { makeFolder } from '../training/run-folder.js';
import { deviceOptions, givenDevice } from './device.js';
import { exitCodes, log, printJson, stopSignal } from './output.js';

const imageTypes = new Set(['.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp']);

interface Row {
  file: string;
  score: number | null;
  anomalous: boolean | null;
  pValue: number | null;
  overlay: string | null;
  error: string | null;
}

export const predict: CommandModule = {
  command: 'predict <model> <images..>',
  describe: 'score pictures and paint where they are unusual',
  builder: (yargs) =>
    yargs
      .positional('model', {
        type: 'string',
        demandOption: true,
        describe: 'model.safetensors of a run folder',
      })
      .positional('images', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'pictures, or folders of pictures',
      })
      .options({
        out: { type: 'string', default: 'predictions', describe: 'folder for the overlays' },
        overlay: {
          type: 'boolean',
          default: true,
          describe: 'write an overlay PNG per picture (--no-overlay)',
        },
        threshold: {
          type: 'number',
          describe: "score above which a picture is anomalous [default: the model's own]",
        },
        'bit-range': {
          type: 'string',
          describe: 'LOW:HIGH values of 16-bit images that mean black and white',
        },
        ...deviceOptions,
        json: {
          type: 'boolean',
          default: false,
          describe: 'one JSON object as the last line of standard output',
        },
      })
      .example('$0 predict runs/demo-1/model.safetensors part.png', 'one picture')
      .example('$0 predict model.safetensors inbox/ --json', 'a folder, for a program')
      .strict(),
  handler: async (argv) => {
    const out = String(argv.out);
    const files = await listImages((argv.images as string[]).map(String));
    const stop = stopSignal();
    using detector = await Detector.load(
      String(argv.model),
      detectorOptions(argv as Record<string, unknown>),
    );
    log(`device: ${describeDevice(detector.device)}`);
    if (detector.threshold === null) {
      log(
        'warning: the model has no threshold (no images were held out): scores only; give one with --threshold',
      );
    }
    if (argv.overlay === true) await makeFolder(out);
    const names = overlayNames(files);
    const rows: Row[] = [];
    for (const [index, file] of files.entries()) {
      if (stop.signal.aborted) break;
      const row = await predictFile(detector, file, argv.overlay === true ? join(out, names[index]!) : null);
      rows.push(row);
      if (argv.json !== true) process.stdout.write(`${line(row)}\n`);
    }
    const failed = rows.filter((row) => row.error !== null).length;
    if (argv.overlay === true) log(`${rows.length - failed} overlays in ${out}/`);
    if (failed > 0) log(`${failed} of ${rows.length} pictures could not be scored`);
    if (argv.json === true) printJson({ model: argv.model, threshold: detector.threshold, images: rows });
    process.exitCode = stop.exitCode() ?? (failed > 0 ? exitCodes.failure : 0);
  },
};

function detectorOptions(argv: Record<string, unknown>): DetectorOptions {
  const options: DetectorOptions = givenDevice(argv);
  if (argv.threshold !== undefined) options.threshold = Number(argv.threshold);
  if (argv['bit-range'] !== undefined) {
    const match = /^(\d+):(\d+)$/.exec(String(argv['bit-range']));
    if (!match)
      throw new FcddError(
        'FCDD_USAGE',
        `--bit-range: expected LOW:HIGH such as 0:4095, received "${argv['bit-range']}"`,
      );
    options.bitRange = { low: Number(match[1]), high: Number(match[2]) };
  }
  return options;
}

/** Files as given, folders expanded (not recursively), sorted by name. */
async function listImages(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined);
    if (!found) throw new FcddError('FCDD_NOT_FOUND', `${path}: no such file or folder`);
    if (!found.isDirectory()) {
      files.push(path);
      continue;
    }
    const inside = (await readdir(path)).filter((name) => imageTypes.has(extname(name).toLowerCase())).sort();
    if (inside.length === 0) {
      throw new FcddError('FCDD_NOT_FOUND', `${path} holds no pictures (${[...imageTypes].join(' ')})`);
    }
    files.push(...inside.map((name) => join(path, name)));
  }
  return files;
}

/** part.png → part.heatmap.png; equal names from different folders get a number. */
function overlayNames(files: readonly string[]): string[] {
  const used = new Set<string>();
  return files.map((file) => {
    const stem = basename(file, extname(file));
    let name = `${stem}.heatmap.png`;
    for (let n = 2; used.has(name); n++) name = `${stem}-${n}.heatmap.png`;
    used.add(name);
    return name;
  });
}

/** A picture that cannot be read is a line of its own, not the end of the others. */
async function predictFile(detector: Detector, file: string, overlayPath: string | null): Promise<Row> {
  try {
    const { score, anomalous, pValue, overlay, warnings } = await detector.predict(file);
    for (const warning of warnings) log(`warning: ${warning}`);
    if (overlayPath) await writeFileAtomic(overlayPath, await overlay());
    return { file, score, anomalous, pValue, overlay: overlayPath, error: null };
  } catch (error) {
    if (!(error instanceof FcddError) || error.code === 'FCDD_DISK') throw error;
    return { file, score: null, anomalous: null, pValue: null, overlay: null, error: error.message };
  }
}

function line({ file, score, anomalous, error }: Row): string {
  if (score === null) return `${file}\terror\t${error}`;
  const verdict = anomalous === null ? '' : anomalous ? 'anomalous' : 'normal';
  return `${file}\t${score.toPrecision(5)}\t${verdict}`.trimEnd();
}
