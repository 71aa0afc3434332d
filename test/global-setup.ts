import { execFileSync } from 'node:child_process';

/** Tests of the command line run dist/, so it must be what src/ says. */
export default function setup(): void {
  execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
}
