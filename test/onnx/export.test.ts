import { mkdir } from 'node:fs/promises';
import { it } from 'vitest';
import { writeRecipe, recipes } from './models.js';
it('writes', async () => {
  await mkdir('/tmp/venv-export/models', {recursive:true});
  for (const name of Object.keys(recipes)) console.log(await writeRecipe('/tmp/venv-export/models', name as keyof typeof recipes));
});
