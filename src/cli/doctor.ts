import type { CommandModule } from 'yargs';
import { describeReport } from '../doctor/describe.js';
import { examine } from '../doctor/doctor.js';
import { exitCodes, log, printJson } from './output.js';

export const doctor: CommandModule = {
  command: 'doctor',
  describe: 'what this installation has and what works: processor, driver, GPUs, a test of each device',
  builder: (yargs) =>
    yargs
      .options({
        json: {
          type: 'boolean',
          default: false,
          describe: 'one JSON object as the last line of standard output',
        },
      })
      .example('$0 doctor', 'why is the GPU not used?')
      .epilogue('Exit code 0 when the cpu works, whatever else is missing.')
      .strict(),
  handler: async (argv) => {
    const report = await examine(process.stderr.isTTY ? (text) => log(`… ${text}`) : undefined);
    if (argv.json === true) printJson(report);
    else process.stdout.write(`${describeReport(report).join('\n')}\n`);
    if (!report.ok) process.exitCode = exitCodes.failure;
  },
};
