/** Builds a message field by field; large byte strings are kept by reference and never copied. */
export class WireWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The message; concatenate, or write one after the other. */
  get parts(): readonly Uint8Array[] {
    return this.#parts;
  }

  varint(number: number, value: number): this {
    return this.#push(encode(number * 8), encode(value));
  }

  float(number: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#push(encode(number * 8 + 5), bytes);
  }

  bytes(number: number, value: Uint8Array): this {
    return this.#push(encode(number * 8 + 2), encode(value.length), value);
  }

  text(number: number, value: string): this {
    return this.bytes(number, new TextEncoder().encode(value));
  }

  message(number: number, value: WireWriter): this {
    return this.#push(encode(number * 8 + 2), encode(value.length), ...value.parts);
  }

  #push(...parts: Uint8Array[]): this {
    for (const part of parts) {
      this.#parts.push(part);
      this.#length += part.length;
    }
    return this;
  }
}

/** A non-negative safe integer as varint. */
function encode(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Uint8Array.from(bytes);
}
