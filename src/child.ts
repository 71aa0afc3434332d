import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Processes of our own for what would cost the main one memory or, when it crashes, its life. */

const patience = 120_000;

/**
 * Runs a script of this package.
 * @param script path below src/ without extension: onnx/ort-child
 * @returns the JSON of its last line on standard output, or (text) what became of it
 */
export function runChild(script: string, args: readonly string[]): Promise<unknown | string> {
  // Built beside this file; when the sources run themselves (tests), the build's copy is used.
  const folder = import.meta.url.endsWith('.ts') ? '../dist/' : './';
  const path = fileURLToPath(new URL(`${folder}${script}.js`, import.meta.url));
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    const timer = setTimeout(() => child.kill('SIGKILL'), patience);
    child.on('error', (error) => resolve(`a process could not be started: ${error.message}`));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      try {
        resolve(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
      } catch {
        const reason = stderr.split('\n').find((line) => /error/i.test(line)) ?? '';
        resolve(`its process ended with ${signal ?? `exit code ${code}`} ${reason}`.trim());
      }
    });
  });
}
