import { open, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { FcddError } from '../errors.js';
import { toFloat32 } from '../models/half.js';
import { type Field, WireFile } from './proto.js';

/**
 * An ONNX file as a graph: nodes with their attributes, and for each tensor where its values lie. Values themselves are
 * read later and only for tensors that are kept. Field numbers are those of onnx.proto (ONNX 1.x).
 */

export interface GraphNode {
  name: string;
  op: string;
  /** '' is ONNX itself. */
  domain: string;
  inputs: string[];
  outputs: string[];
  attributes: Map<string, Attribute>;
}

export interface Attribute {
  int?: number;
  float?: number;
  text?: string;
  ints?: number[];
  tensor?: TensorRef;
}

/** A tensor without its values. */
export interface TensorRef {
  name: string;
  /** TensorProto.DataType. */
  type: number;
  shape: number[];
  /** Places of raw_data, or of one of the typed fields. */
  stored: 'raw' | 'float_data' | 'int32_data' | 'double_data' | 'external' | 'none';
  places: { start: number; end: number }[];
  external: Map<string, string>;
}

export interface OnnxGraph {
  opset: number;
  producer: string;
  nodes: GraphNode[];
  initializers: Map<string, TensorRef>;
  inputs: string[];
  outputs: string[];
  /** Reads a tensor's values as float32. @throws FcddError FCDD_BAD_MODEL */
  read(tensor: TensorRef): Promise<Float32Array<ArrayBuffer>>;
}

const types = { float: 1, int32: 6, int64: 7, float16: 10, double: 11 } as const;
const typeNames = new Map([
  [1, 'float32'],
  [2, 'uint8'],
  [3, 'int8'],
  [6, 'int32'],
  [7, 'int64'],
  [9, 'bool'],
  [10, 'float16'],
  [11, 'float64'],
  [16, 'bfloat16'],
]);
const typeName = (type: number): string => typeNames.get(type) ?? `type ${type}`;

/** Graphs beyond these are an attack or damage, not a classifier. */
const mostNodes = 100_000;
const mostPlaces = 4096;
const mostDimensions = 8;

/**
 * Opens an ONNX file, walks its structure and hands the graph to `use`; the file is closed when that is done.
 * @throws FcddError FCDD_NOT_FOUND, or FCDD_BAD_MODEL naming the file and what is wrong with it
 */
export async function withOnnxGraph<T>(path: string, use: (graph: OnnxGraph) => Promise<T>): Promise<T> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) throw new FcddError('FCDD_NOT_FOUND', `cannot read ${path}: no such file`);
  const handle = await open(path, 'r');
  try {
    return await use(await readModel(new WireFile(handle, path, found.size)));
  } finally {
    await handle.close();
  }
}

async function readModel(file: WireFile): Promise<OnnxGraph> {
  let opset = 0;
  let producer = '';
  let graph: Field | undefined;
  for await (const field of file.fields(0, file.size)) {
    if (field.number === 2) producer = await file.text(field, 'the producer');
    if (field.number === 8) opset = Math.max(opset, await readOpset(file, field));
    if (field.number !== 7) continue;
    if (graph || field.wire !== 2) throw file.bad('it does not hold one graph');
    graph = field;
  }
  if (!graph) throw file.bad('it holds no graph');
  if (opset < 9) {
    throw file.bad(
      opset === 0 ? 'it names no operator set' : `its operator set is ${opset}; 9 and later are understood`,
    );
  }
  const { nodes, initializers, inputs, outputs } = await readGraph(file, graph);
  return {
    opset,
    producer,
    nodes,
    initializers,
    inputs,
    outputs,
    read: (tensor) => readValues(file, tensor),
  };
}

/** Version of ONNX's own operator set; 0 for another domain. */
async function readOpset(file: WireFile, message: Field): Promise<number> {
  let domain = '';
  let version = 0;
  for await (const field of file.fields(message.start, message.end)) {
    if (field.number === 1) domain = await file.text(field, 'the domain of an operator set');
    if (field.number === 2) version = field.value;
  }
  return domain === '' || domain === 'ai.onnx' ? version : 0;
}

type Structure = Pick<OnnxGraph, 'nodes' | 'initializers' | 'inputs' | 'outputs'>;

async function readGraph(file: WireFile, message: Field): Promise<Structure> {
  const graph: Structure = { nodes: [], initializers: new Map(), inputs: [], outputs: [] };
  for await (const field of file.fields(message.start, message.end)) {
    if (field.number === 1) graph.nodes.push(await readNode(file, field));
    if (field.number === 5) {
      const tensor = await readTensorRef(file, field);
      if (graph.initializers.has(tensor.name)) throw file.bad(`two initialisers are called "${tensor.name}"`);
      graph.initializers.set(tensor.name, tensor);
    }
    if (field.number === 11) graph.inputs.push(await readValueName(file, field));
    if (field.number === 12) graph.outputs.push(await readValueName(file, field));
    if (graph.nodes.length > mostNodes || graph.initializers.size > mostNodes)
      throw file.bad(`it has more than ${mostNodes} nodes or tensors`);
  }
  return graph;
}

async function readValueName(file: WireFile, message: Field): Promise<string> {
  for await (const field of file.fields(message.start, message.end)) {
    if (field.number === 1) return file.text(field, 'the name of an input or output');
  }
  return '';
}

async function readNode(file: WireFile, message: Field): Promise<GraphNode> {
  const node: GraphNode = { name: '', op: '', domain: '', inputs: [], outputs: [], attributes: new Map() };
  for await (const field of file.fields(message.start, message.end)) {
    if (field.number === 1) node.inputs.push(await file.text(field, 'the name of a tensor'));
    if (field.number === 2) node.outputs.push(await file.text(field, 'the name of a tensor'));
    if (field.number === 3) node.name = await file.text(field, 'the name of a node');
    if (field.number === 4) node.op = await file.text(field, 'an operator');
    if (field.number === 7) node.domain = await file.text(field, 'a domain');
    if (field.number === 5) await readAttribute(file, field, node.attributes);
  }
  if (node.op === '') throw file.bad(`the node "${node.name}" has no operator`);
  return node;
}

async function readAttribute(file: WireFile, message: Field, into: Map<string, Attribute>): Promise<void> {
  let name = '';
  const attribute: Attribute = {};
  for await (const field of file.fields(message.start, message.end)) {
    if (field.number === 1) name = await file.text(field, 'the name of an attribute');
    if (field.number === 2 && field.wire === 5)
      attribute.float = (await file.bytes(field.start, field.end)).readFloatLE(0);
    if (field.number === 3 && field.wire === 0) attribute.int = field.value;
    // Texts of the operators that are understood are short; long ones belong to others.
    if (field.number === 4 && field.end - field.start < 256)
      attribute.text = await file.text(field, 'an attribute');
    if (field.number === 5 && field.wire === 2) attribute.tensor = await readTensorRef(file, field);
    if (field.number === 8 && field.end - field.start <= 512) {
      attribute.ints ??= [];
      attribute.ints.push(...(await file.integers(field, `the integers of attribute "${name}"`)));
    }
  }
  into.set(name, attribute);
}

const storage = new Map<number, TensorRef['stored']>([
  [4, 'float_data'],
  [5, 'int32_data'],
  [9, 'raw'],
  [10, 'double_data'],
]);

async function readTensorRef(file: WireFile, message: Field): Promise<TensorRef> {
  const tensor: TensorRef = {
    name: '',
    type: 0,
    shape: [],
    stored: 'none',
    places: [],
    external: new Map(),
  };
  let external = false;
  for await (const field of file.fields(message.start, message.end)) {
    if (field.number === 1) tensor.shape.push(...(await file.integers(field, 'the dimensions of a tensor')));
    if (field.number === 2) tensor.type = field.value;
    if (field.number === 8) tensor.name = await file.text(field, 'the name of a tensor');
    if (field.number === 13) await readEntry(file, field, tensor.external);
    if (field.number === 14) external = field.value === 1;
    const stored = storage.get(field.number);
    if (stored) {
      tensor.stored = stored;
      tensor.places.push({ start: field.start, end: field.end });
    }
    if (tensor.shape.length > mostDimensions || tensor.places.length > mostPlaces)
      throw file.bad(`tensor "${tensor.name}" is stored in a way that no exporter uses`);
  }
  if (external) tensor.stored = 'external';
  if (tensor.shape.some((extent) => !Number.isSafeInteger(extent) || extent < 0))
    throw file.bad(`tensor "${tensor.name}" has the shape ${tensor.shape.join('×')}`);
  return tensor;
}

async function readEntry(file: WireFile, message: Field, into: Map<string, string>): Promise<void> {
  let key = '';
  let value = '';
  for await (const field of file.fields(message.start, message.end)) {
    if (field.number === 1) key = await file.text(field, 'a key of external data');
    if (field.number === 2) value = await file.text(field, 'an entry of external data');
  }
  into.set(key, value);
}

const elementBytes = new Map<number, number>([
  [types.float, 4],
  [types.float16, 2],
  [types.double, 8],
]);

async function readValues(file: WireFile, tensor: TensorRef): Promise<Float32Array<ArrayBuffer>> {
  const size = elementBytes.get(tensor.type);
  const what = `tensor "${tensor.name}"`;
  if (size === undefined) {
    throw file.bad(
      `${what} is ${typeName(tensor.type)}; float32, float16 and float64 weights are understood`,
    );
  }
  const count = tensor.shape.reduce((product, extent) => product * extent, 1);
  if (count * size > 2 ** 31) throw file.bad(`${what} has ${tensor.shape.join('×')} values`);
  const raw = await storedBytes(file, tensor, count * size);
  if (tensor.type === types.float) return new Float32Array(raw);
  if (tensor.type === types.double) return Float32Array.from(new Float64Array(raw));
  return toFloat32(new Uint16Array(raw));
}

/** The values of a tensor as `bytes` little-endian bytes, from wherever they are stored. */
async function storedBytes(file: WireFile, tensor: TensorRef, bytes: number): Promise<ArrayBuffer> {
  const what = `tensor "${tensor.name}"`;
  if (tensor.stored === 'external') return readExternal(file, tensor, bytes);
  if (tensor.stored === 'none' && bytes > 0) throw file.bad(`${what} has no values`);
  if (tensor.stored === 'int32_data') return halvesOfIntegers(file, tensor, bytes);
  const fits: Record<string, number> = {
    raw: tensor.type,
    float_data: types.float,
    double_data: types.double,
  };
  if (tensor.stored !== 'none' && fits[tensor.stored] !== tensor.type)
    throw file.bad(`${what} is ${typeName(tensor.type)} but stored as ${tensor.stored}`);
  const stored = tensor.places.reduce((sum, { start, end }) => sum + end - start, 0);
  if (stored !== bytes)
    throw file.bad(`${what} of shape ${tensor.shape.join('×')} has ${stored} bytes instead of ${bytes}`);
  const buffer = new ArrayBuffer(bytes);
  let offset = 0;
  for (const { start, end } of tensor.places) {
    await file.read(new Uint8Array(buffer, offset, end - start), start);
    offset += end - start;
  }
  return buffer;
}

/** float16 values may be stored as integers that hold their bits. */
async function halvesOfIntegers(file: WireFile, tensor: TensorRef, bytes: number): Promise<ArrayBuffer> {
  const what = `tensor "${tensor.name}"`;
  if (tensor.type !== types.float16)
    throw file.bad(`${what} is ${typeName(tensor.type)} but stored as int32_data`);
  const halves = new Uint16Array(bytes / 2);
  let count = 0;
  for (const { start, end } of tensor.places) {
    for (const value of file.varints(await file.bytes(start, end), start)) halves[count++] = value;
  }
  if (count !== halves.length) throw file.bad(`${what} has ${count} values instead of ${halves.length}`);
  return halves.buffer;
}

/** Values in a file beside the model: its path must stay within the model's folder, also through links. */
async function readExternal(file: WireFile, tensor: TensorRef, bytes: number): Promise<ArrayBuffer> {
  const what = `tensor "${tensor.name}"`;
  const location = tensor.external.get('location') ?? '';
  const path = await externalPath(file, what, location);
  const offset = naturalEntry(file, tensor, 'offset', 0);
  const length = naturalEntry(file, tensor, 'length', bytes);
  const { size } = await stat(path);
  if (length !== bytes)
    throw file.bad(`${what} of shape ${tensor.shape.join('×')} has ${length} bytes instead of ${bytes}`);
  if (offset + length > size)
    throw file.bad(`${what} lies beyond the end of ${location}: that file is truncated`);
  const buffer = new ArrayBuffer(bytes);
  const handle = await open(path, 'r');
  try {
    await new WireFile(handle, path, size).read(new Uint8Array(buffer), offset);
  } finally {
    await handle.close();
  }
  return buffer;
}

async function externalPath(file: WireFile, what: string, location: string): Promise<string> {
  const escapes = (path: string): boolean => path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path);
  const outside = file.bad(`${what} lies in "${location}", which is outside the model's folder`);
  const folder = dirname(file.path);
  if (location === '' || location.includes('\0'))
    throw file.bad(`${what} does not say in which file it lies`);
  if (isAbsolute(location) || escapes(relative(folder, join(folder, location)))) throw outside;
  const real = await realpath(join(folder, location)).catch(() => undefined);
  if (real === undefined) throw file.bad(`${what} lies in ${location}, which is missing beside the model`);
  if (escapes(relative(await realpath(folder), real))) throw outside;
  if (!(await stat(real)).isFile()) throw file.bad(`${what} lies in ${location}, which is not a file`);
  return real;
}

function naturalEntry(file: WireFile, tensor: TensorRef, key: string, otherwise: number): number {
  const text = tensor.external.get(key);
  if (text === undefined) return otherwise;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw file.bad(`tensor "${tensor.name}" has the external ${key} "${text}"`);
}
