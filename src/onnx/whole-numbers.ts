/**
 * Vectors of whole numbers in a graph: constants as long as nothing of them depends on the size of the picture, nodes
 * otherwise. All are non-negative where they are divided, so that ONNX's division rounds down.
 */
import type { GraphBuilder } from './nodes.js';

export type Whole = { values: readonly number[] } | { node: string };

export const whole = (...values: number[]): Whole => ({ values });

export const range = (count: number): Whole => ({ values: Array.from({ length: count }, (_, i) => i) });

const operations = {
  Add: (a: number, b: number) => a + b,
  Sub: (a: number, b: number) => a - b,
  Mul: (a: number, b: number) => a * b,
  Div: (a: number, b: number) => Math.floor(a / b),
  Mod: (a: number, b: number) => a % b,
  Min: (a: number, b: number) => Math.min(a, b),
  Max: (a: number, b: number) => Math.max(a, b),
};

/** a op b, element by element; one of them may have a single element. */
export function calculate(graph: GraphBuilder, op: keyof typeof operations, a: Whole, b: Whole): Whole {
  if ('values' in a && 'values' in b) {
    const length = Math.max(a.values.length, b.values.length);
    const at = ({ values }: { values: readonly number[] }, i: number): number =>
      values[values.length === 1 ? 0 : i]!;
    return { values: Array.from({ length }, (_, i) => operations[op](at(a, i), at(b, i))) };
  }
  return { node: graph.node(op, [wholeName(graph, a), wholeName(graph, b)]) };
}

/** The name of an int64 vector that holds the numbers. */
export function wholeName(graph: GraphBuilder, whole: Whole): string {
  return 'node' in whole ? whole.node : graph.constant('int64', [whole.values.length], whole.values);
}
