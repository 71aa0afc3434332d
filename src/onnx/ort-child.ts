/**
 * Run as a process of its own by run-onnx.ts, so that the runtime's memory and crashes stay out of the main one:
 * ort-child.js RUNTIME MODEL IMAGE SHAPE OUTPUT. Writes each output as OUTPUT.<name> (float32) and prints their shapes.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

interface Runtime {
  InferenceSession: {
    create(
      path: string,
      options: object,
    ): Promise<{
      inputNames: string[];
      run(feeds: object): Promise<Record<string, { data: Float32Array; dims: number[] }>>;
    }>;
  };
  Tensor: new (type: 'float32', data: Float32Array, dims: number[]) => object;
}

const [, , runtimePath = '', model = '', image = '', shape = '', output = ''] = process.argv;
const ort = createRequire(import.meta.url)(runtimePath) as Runtime;
const bytes = await readFile(image);
const pixels = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
const session = await ort.InferenceSession.create(model, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'disabled',
});
const input = new ort.Tensor('float32', pixels, shape.split('x').map(Number));
const results = await session.run({ [session.inputNames[0]!]: input });
const shapes: Record<string, number[]> = {};
for (const [name, { data, dims }] of Object.entries(results)) {
  await writeFile(`${output}.${name}`, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  shapes[name] = [...dims];
}
process.stdout.write(`${JSON.stringify(shapes)}\n`);
