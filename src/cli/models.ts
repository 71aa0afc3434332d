import type { CommandModule } from 'yargs';
import { describeArchitectures } from '../models/describe.js';
import { mebibytes } from '../training/estimate.js';
import { printJson } from './output.js';

export const models: CommandModule = {
  command: 'models',
  describe: 'the architectures: parameters, receptive field, memory, cost',
  builder: (yargs) =>
    yargs
      .options({
        json: { type: 'boolean', default: false, describe: 'as JSON' },
        'batch-size': { type: 'number', default: 16, describe: 'for the memory column' },
      })
      .example('$0 models', 'the table')
      .strict(),
  handler: (argv) => {
    const rows = describeArchitectures(Number(argv['batch-size'] ?? 16));
    if (argv.json === true) return printJson(rows);
    const lines = rows.map((row) => [
      row.name,
      `${row.input.height}×${row.input.width}×${row.input.channels}`,
      `${(row.parameters / 1000).toFixed(0)} k`,
      `${row.receptiveField.height}×${row.receptiveField.width}`,
      `${row.receptiveField.extent} / ${row.receptiveField.jump}`,
      `${(row.multiplyAdds / 1e6).toFixed(0)} M`,
      mebibytes(row.trainingBytes),
      row.summary,
    ]);
    const head = ['name', 'input', 'params', 'output', 'field / stride', 'MACs', 'training', 'what it is'];
    process.stdout.write(`${table([head, ...lines])}\n`);
    process.stdout.write(
      `\nparams: trainable and frozen parameters. field / stride: receptive field and step in input pixels. MACs: multiply-adds of one\nimage, forward. training: memory of a training step at batch ${Number(argv['batch-size'] ?? 16)}, SGD. Sizes are the published ones; any other size that the\nlayers accept works.\n`,
    );
  },
};

function table(rows: string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
