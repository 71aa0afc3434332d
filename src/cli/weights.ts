import { SingleBar } from 'cli-progress';
import type { CommandModule } from 'yargs';
import { mebibytes } from '../training/estimate.js';
import { exportLine } from '../training/weights-default.js';
import {
  type CachedWeights,
  type ImportOptions,
  type ImportResult,
  importWeights,
  listWeights,
  type PullOptions,
  pullWeights,
  verifyWeights,
  weightsArchitectures,
  weightsFolder,
} from '../weights/index.js';
import { exitCodes, log, printJson, stopSignal } from './output.js';

const json = {
  type: 'boolean',
  default: false,
  describe: 'one JSON object as the last line of standard output',
} as const;

const naming = {
  name: { type: 'string', describe: 'name in the cache [default: the network’s]' },
  verify: {
    type: 'boolean',
    default: true,
    describe: 'compare with onnxruntime-node where it is installed (--no-verify)',
  },
  json,
} as const;

const importCommand: CommandModule = {
  command: 'import <file>',
  describe: 'take the layers before the head from an ONNX or safetensors file',
  builder: (yargs) =>
    yargs
      .positional('file', { type: 'string', demandOption: true, describe: 'ONNX export or safetensors' })
      .options({
        as: {
          choices: weightsArchitectures(),
          describe: 'the network that the file holds [default: the only one that fits]',
        },
        'recover-bn': {
          type: 'string',
          describe: 'folder of photographs to estimate folded batch normalisation from (vgg11)',
        },
        ...naming,
      })
      .example('$0 weights import vgg11_bn.onnx', `exported with ${exportLine}`)
      .example('$0 weights import model.safetensors --as vgg11', 'of timm/vgg11_bn.tv_in1k')
      .example('$0 weights import folded.onnx --recover-bn photos/', 'batch normalisation from photographs')
      .strict(),
  handler: async (argv) => {
    const { as, name, recoverBn } = argv as Record<string, string | undefined>;
    const options: ImportOptions = {
      ...(as === undefined ? {} : { as }),
      ...(name === undefined ? {} : { name }),
      ...(recoverBn === undefined ? {} : { recoverBn }),
      verify: argv.verify === true,
    };
    const result = await importWeights(String(argv.file), options, { onNote: log });
    report(result);
    if (argv.json === true) printJson(result);
  },
};

const pullCommand: CommandModule = {
  command: 'pull <what>',
  describe: 'download published weights and import them',
  builder: (yargs) =>
    yargs
      .positional('what', { type: 'string', demandOption: true, describe: 'vgg11_bn: ImageNet, 531 MB' })
      .options({
        url: {
          type: 'string',
          describe: 'another address [default: $FCDD_WEIGHTS_URL, or timm’s on Hugging Face]',
        },
        sha256: { type: 'string', describe: 'checksum that the file must have' },
        ...naming,
      })
      .example('$0 weights pull vgg11_bn', 'goes on where it was stopped; HTTPS_PROXY is taken')
      .example('$0 weights pull vgg11_bn --url https://mirror/vgg11_bn.safetensors', 'from a mirror')
      .strict(),
  handler: async (argv) => {
    const { url, sha256, name } = argv as Record<string, string | undefined>;
    const stop = stopSignal();
    const options: PullOptions = {
      ...(url === undefined ? {} : { url }),
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(name === undefined ? {} : { name }),
      verify: argv.verify === true,
      signal: stop.signal,
    };
    const bar = downloadBar();
    try {
      const result = await pullWeights(String(argv.what), options, {
        onNote: (text) => bar.line(text),
        onProgress: bar.update,
      });
      bar.stop();
      const checked = result.checked ? 'as expected' : 'the server names none to compare with';
      log(`${result.url}: SHA-256 ${result.sha256}, ${checked}`);
      report(result);
      if (argv.json === true) printJson(result);
    } catch (error) {
      bar.stop();
      const code = stop.exitCode();
      if (code === undefined || (error as { code?: string }).code !== 'FCDD_ABORTED') throw error;
      log('stopped; the same command goes on with the download');
      process.exitCode = code;
    }
  },
};

function downloadBar() {
  let bar: SingleBar | undefined;
  const stop = (): void => {
    bar?.stop();
    bar = undefined;
  };
  return {
    update(done: number, total: number | null): void {
      if (!process.stderr.isTTY || total === null) return;
      if (!bar) {
        bar = new SingleBar({ stream: process.stderr, format: '{bar} {percentage}% | {eta_formatted} left' });
        bar.start(total, done);
      }
      bar.update(done);
    },
    line(text: string): void {
      stop();
      log(text);
    },
    stop,
  };
}

const listCommand: CommandModule = {
  command: 'list',
  describe: 'what the cache holds',
  builder: (yargs) =>
    yargs.options({ json }).example('$0 weights list', 'names for train --weights').strict(),
  handler: async (argv) => {
    const { weights, damaged } = await listWeights();
    if (argv.json === true) return printJson({ folder: weightsFolder(), weights, damaged });
    if (weights.length === 0) log(`${weightsFolder()} holds no weights: fcdd-native weights pull vgg11_bn`);
    for (const info of weights) process.stdout.write(`${row(info)}\n`);
    for (const { path, reason } of damaged) log(`warning: ${path} cannot be used: ${reason}`);
  },
};

const verifyCommand: CommandModule = {
  command: 'verify [name]',
  describe: 'read weights of the cache again and compare their checksums',
  builder: (yargs) =>
    yargs
      .positional('name', { type: 'string', describe: 'only these [default: all]' })
      .options({ json })
      .example('$0 weights verify', 'exit 1 when a file is damaged')
      .strict(),
  handler: async (argv) => {
    const { weights, damaged } = await verifyWeights(argv.name === undefined ? undefined : String(argv.name));
    const broken = weights.some(({ problem }) => problem !== null) || damaged.length > 0;
    if (argv.json === true) printJson({ folder: weightsFolder(), weights, damaged });
    else {
      for (const info of weights) process.stdout.write(`${info.name}\t${info.problem ?? 'whole'}\n`);
      for (const { path, reason } of damaged) process.stdout.write(`${path}\t${reason}\n`);
      if (weights.length + damaged.length === 0) log(`${weightsFolder()} holds no weights`);
    }
    if (broken) process.exitCode = exitCodes.failure;
  },
};

const states = {
  live: 'batch normalisation live',
  folded: 'batch normalisation folded: for inference and --frozen-bn fixed',
  recovered: 'batch normalisation recovered from images',
};

const row = ({ name, architecture, bn, bytes, sha256, source }: CachedWeights): string =>
  [name, architecture, states[bn], mebibytes(bytes), sha256.slice(0, 16), `from ${source.file}`].join('\t');

function report({ weights, existed, verification, recovery }: ImportResult): void {
  if (recovery) {
    log(
      `batch normalisation estimated from ${recovery.images} images; in inference the recovered network differs ` +
        `from the folded one by ${recovery.distance.toExponential(1)} (relative L2 of its features)`,
    );
  }
  if (verification?.verified) {
    log(
      `same image in onnxruntime-node and here: features differ by ${verification.features.toExponential(1)}, ` +
        `the anomaly map by ${verification.map.toExponential(1)} (relative L2)`,
    );
  } else if (verification) log(`not compared with another implementation: ${verification.reason}`);
  log(
    `${existed ? 'already there' : 'imported'}: ${weights.name} (${weights.architecture}, ${states[weights.bn]})`,
  );
  log(`  ${weights.path}`);
  if (weights.bn === 'folded') {
    log(
      '  vgg11 and vgg11-f train with live batch normalisation and do not take it; an export that keeps it:',
    );
    log(`  ${exportLine}`);
  } else log(`use it with: fcdd-native train --weights ${weights.name}`);
}

export const weights: CommandModule = {
  command: 'weights',
  describe: 'pretrained weights: import, pull, list, verify',
  builder: (yargs) =>
    yargs
      .command(importCommand)
      .command(pullCommand)
      .command(listCommand)
      .command(verifyCommand)
      .demandCommand(1, 'Name what to do: import, pull, list or verify')
      .example('$0 weights pull vgg11_bn', 'ImageNet weights for vgg11 and vgg11-f')
      .example('$0 weights import vgg11_bn.onnx', 'from a file')
      .strict(),
  handler: () => {},
};
