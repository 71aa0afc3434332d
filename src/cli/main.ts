#!/usr/bin/env node
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { packageVersion } from '../training/versions.js';
import { baselines } from './baselines.js';
import { bench } from './bench.js';
import { data } from './data.js';
import { doctor } from './doctor.js';
import { evaluate } from './evaluate.js';
import { exportModel } from './export.js';
import { importSnapshotCommand } from './import-snapshot.js';
import { models } from './models.js';
import { exitCodes, failWith } from './output.js';
import { predict } from './predict.js';
import { train } from './train.js';
import { weights } from './weights.js';

/** `fcdd-native <command>`: one file per command, which prints and never computes. */
async function main(): Promise<void> {
  const cli = yargs(hideBin(process.argv))
    .scriptName('fcdd-native')
    .usage(
      '$0 <command>\n\nAnomaly detection that shows where: trains and runs FCDD (Explainable Deep One-Class Classification).',
    )
    .command(train)
    .command(evaluate)
    .command(predict)
    .command(data)
    .command(exportModel)
    .command(importSnapshotCommand)
    .command(baselines)
    .command(models)
    .command(weights)
    .command(bench)
    .command(doctor)
    .demandCommand(1, 'Name a command. The first to try is: fcdd-native train')
    .strict()
    .recommendCommands()
    .alias('h', 'help')
    .version(packageVersion)
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .epilogue('Exit codes: 0 done, 1 failure, 2 usage, 130/143 stopped by Ctrl-C/SIGTERM after saving.')
    .fail((message, error) => {
      if (error) throw error;
      process.stderr.write(
        `${message}\n\nfcdd-native ${process.argv[2] ?? ''} --help shows what there is.\n`,
      );
      process.exit(exitCodes.usage);
    });
  await cli.parseAsync();
}

main().catch(failWith);
