import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * Commit of the sources that a figure was measured with, '+' when they have been changed since; null unless the
 * package's folder is a checkout.
 */
export function commitOfSources(): string | null {
  const folder = fileURLToPath(new URL('../..', import.meta.url));
  const git = (...args: string[]): string =>
    spawnSync('git', args, { cwd: folder, encoding: 'utf8' }).stdout?.trim() ?? '';
  if (git('rev-parse', '--show-prefix') !== '') return null; // installed somewhere below another project
  const commit = git('rev-parse', '--short', 'HEAD');
  if (commit === '') return null;
  const sources = ['native', 'bindings', 'src'];
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', ...sources) !== '';
  return changed ? `${commit}+` : commit;
}
