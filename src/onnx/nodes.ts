/**
 * Writes ONNX graphs: the protobuf messages of onnx.proto that a graph needs, field numbers as there, encoded by hand
 * (a message is a list of numbered fields, which takes fewer lines than a generated library).
 */

type Bytes = Uint8Array;

function varint(value: number | bigint): Bytes {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

/** A message as its pieces, so that large tensors are not copied at every level. */
export type Message = { pieces: Bytes[]; length: number };

function message(...fields: Message[]): Message {
  return {
    pieces: fields.flatMap((field) => field.pieces),
    length: fields.reduce((total, field) => total + field.length, 0),
  };
}

const piece = (...pieces: Bytes[]): Message => ({
  pieces,
  length: pieces.reduce((total, bytes) => total + bytes.length, 0),
});

const int = (field: number, value: number): Message => piece(varint(field * 8), varint(value));

function float(field: number, value: number): Message {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return piece(varint(field * 8 + 5), bytes);
}

function nested(field: number, content: Message): Message {
  return message(piece(varint(field * 8 + 2), varint(content.length)), content);
}

const bytes = (field: number, content: Bytes): Message => nested(field, piece(content));
const text = (field: number, content: string): Message => bytes(field, new TextEncoder().encode(content));
const ints = (field: number, values: readonly number[]): Message =>
  message(...values.map((value) => int(field, value)));

/** TensorProto.DataType */
export const elementTypes = {
  float: 1,
  uint8: 2,
  int64: 7,
  bool: 9,
  float16: 10,
  double: 11,
} as const;

export type ElementType = keyof typeof elementTypes;

/** An attribute: a whole number, a list of them, or a real number ({ float }). */
export type Attribute = number | readonly number[] | { float: number };

function attribute(name: string, value: Attribute): Message {
  if (typeof value === 'number') return message(text(1, name), int(3, value), int(20, 2));
  if (Array.isArray(value)) return message(text(1, name), ints(8, value), int(20, 7));
  return message(text(1, name), float(2, (value as { float: number }).float), int(20, 1));
}

/** A size that may be a name: it is the same wherever the name is. */
export type Dimension = number | string;

export interface ValueInfo {
  name: string;
  type: ElementType;
  /** Default: left open. */
  shape?: readonly Dimension[];
}

function valueInfo({ name, type, shape }: ValueInfo): Message {
  const dimensions = shape?.map((size) => nested(1, typeof size === 'number' ? int(1, size) : text(2, size)));
  const shapes = dimensions ? [nested(2, message(...dimensions))] : [];
  const tensor = message(int(1, elementTypes[type]), ...shapes);
  return message(text(1, name), nested(2, nested(1, tensor)));
}

/** Nearest float16, ties to even, as its bits. */
export function toFloat16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  // Spacing of float16 at this size: 2^-24 below the smallest normal number.
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.max(size, 2 ** -24))));
  const corrected = size < 2 ** exponent && exponent > -14 ? exponent - 1 : exponent;
  const steps = roundEven(size / 2 ** (corrected - 10));
  // `steps` of 2048 is the next power of two: the carry runs into the exponent.
  return sign | (steps + (corrected + 14) * 1024);
}

function roundEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}

function rawData(type: ElementType, values: ArrayLike<number>): Bytes {
  const arrays = {
    float: () => Float32Array.from(values),
    double: () => Float64Array.from(values),
    float16: () => Uint16Array.from(values, toFloat16),
    int64: () => BigInt64Array.from(Array.from(values, BigInt)),
    uint8: () => Uint8Array.from(values),
    bool: () => Uint8Array.from(values),
  };
  // Typed arrays have the processor's byte order: little-endian on every platform that the addon is built for.
  return new Uint8Array(arrays[type]().buffer);
}

/** IR version that goes with an opset: what readers of that time understand. */
function irVersion(opset: number): number {
  if (opset < 15) return 7;
  if (opset < 19) return 8;
  return opset < 21 ? 9 : 10;
}

/** Collects nodes and constants of a graph; every value has a name of its own. */
export class GraphBuilder {
  readonly opset: number;
  readonly #nodes: Message[] = [];
  readonly #initializers: Message[] = [];
  readonly #used = new Set<string>();

  constructor(opset: number) {
    this.opset = opset;
  }

  /** Adds a node with one output. @returns the output's name: `name` where given, which must be new */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Record<string, Attribute> = {},
    name?: string,
  ): string {
    const output = name ?? this.#fresh(op.toLowerCase());
    this.#used.add(output);
    this.#nodes.push(
      message(
        ...inputs.map((input) => text(1, input)),
        text(2, output),
        text(3, output),
        text(4, op),
        ...Object.entries(attributes).map(([key, value]) => nested(5, attribute(key, value))),
      ),
    );
    return output;
  }

  /** Adds a constant. @param shape [] for a scalar */
  constant(
    type: ElementType,
    shape: readonly number[],
    values: ArrayLike<number>,
    name = this.#fresh('constant'),
  ): string {
    this.#used.add(name);
    const data = bytes(9, rawData(type, values));
    this.#initializers.push(message(ints(1, shape), int(2, elementTypes[type]), text(8, name), data));
    return name;
  }

  #fresh(stem: string): string {
    let number = 1;
    while (this.#used.has(`${stem}_${number}`)) number += 1;
    this.#used.add(`${stem}_${number}`);
    return `${stem}_${number}`;
  }

  /** The ModelProto. */
  finish(options: {
    name: string;
    version?: string;
    inputs: readonly ValueInfo[];
    outputs: readonly ValueInfo[];
    metadata?: Readonly<Record<string, string>>;
  }): Bytes[] {
    const { name, version, inputs, outputs, metadata = {} } = options;
    const graph = message(
      ...this.#nodes.map((node) => nested(1, node)),
      text(2, name),
      ...this.#initializers.map((tensor) => nested(5, tensor)),
      ...inputs.map((value) => nested(11, valueInfo(value))),
      ...outputs.map((value) => nested(12, valueInfo(value))),
    );
    return message(
      int(1, irVersion(this.opset)),
      text(2, 'fcdd-native'),
      ...(version === undefined ? [] : [text(3, version)]),
      nested(7, graph),
      nested(8, message(text(1, ''), int(2, this.opset))),
      ...Object.entries(metadata).map(([key, value]) => nested(14, message(text(1, key), text(2, value)))),
    ).pieces;
  }
}
