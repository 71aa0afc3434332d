import { dirname, join } from 'node:path';
import type { CommandModule } from 'yargs';
import { opsets } from '../onnx/export.js';
import { exportOnnxFile } from '../onnx/export-file.js';
import type { Verification } from '../onnx/export-verify.js';
import { log, printJson } from './output.js';

export const exportModel: CommandModule = {
  command: 'export <model>',
  describe: 'one ONNX file from raw picture to score and heatmap, checked in ONNX Runtime',
  builder: (yargs) =>
    yargs
      .positional('model', {
        type: 'string',
        demandOption: true,
        describe: 'model.safetensors of a run folder',
      })
      .options({
        format: { choices: ['onnx'], default: 'onnx', describe: 'of the file' },
        out: { type: 'string', describe: 'file to write [default: model.onnx beside the model]' },
        opset: {
          type: 'number',
          default: opsets.least,
          describe: `version of the operators, ${opsets.least} to ${opsets.most}`,
        },
        dynamic: {
          type: 'boolean',
          default: false,
          describe: 'batches of pictures of any size: the resize is inside the file',
        },
        fp16: { type: 'boolean', default: false, describe: 'weights and network in float16' },
        'keep-bn': {
          type: 'boolean',
          default: false,
          describe: 'batch normalisation as nodes of its own, to import the file again as weights',
        },
        verify: {
          type: 'boolean',
          default: true,
          describe: 'compare with ONNX Runtime (--no-verify: do not)',
        },
        json: {
          type: 'boolean',
          default: false,
          describe: 'one JSON object as the last line of standard output',
        },
      })
      .example('$0 export runs/demo-1/model.safetensors', 'writes runs/demo-1/model.onnx')
      .example('$0 export model.safetensors --dynamic --out part.onnx', 'for pictures of any size')
      .epilogue('docs/export.md describes inputs, outputs and metadata of the file.')
      .strict(),
  handler: async (argv) => {
    const model = String(argv.model);
    const out = argv.out === undefined ? join(dirname(model), 'model.onnx') : String(argv.out);
    const options = {
      opset: Number(argv.opset),
      dynamic: argv.dynamic === true,
      fp16: argv.fp16 === true,
      keepBn: argv['keep-bn'] === true,
    };
    const result = await exportOnnxFile(model, out, { ...options, verify: argv.verify === true });
    const { bytes, description, threshold, verification } = result;
    log(`${out}: ${size(bytes)}, opset ${options.opset}`);
    log(`input ${description.input}; ${description.resize}`);
    log(verification ? verdict(verification) : 'not compared with ONNX Runtime');
    if (argv.json === true) printJson({ out, bytes, ...options, ...description, threshold, verification });
  },
};

const size = (bytes: number): string =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

function verdict({ version, pictures, score, map, heatmap, bound, sameVerdicts }: Verification): string {
  const apart = [score, map, heatmap].map((value) => value.toExponential(1)).join(', ');
  const verdicts = sameVerdicts === null ? 'no threshold, so no verdicts' : `${sameVerdicts} equal verdicts`;
  return (
    `ONNX Runtime ${version} agrees on ${pictures} pictures: score, map and heatmap differ by ${apart} ` +
    `(relative, at most ${bound}), ${verdicts}`
  );
}
