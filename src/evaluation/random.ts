/**
 * A small seeded generator (xoshiro128**, seeded through splitmix32) for draws that are not part of training:
 * which images are held out, thinned or resampled. Same seed, same sequence, on every machine.
 */

export interface Random {
  /** Uniform in [0, 1), 32 bits. */
  next(): number;
  /** Uniform integer in [0, n), without the bias of a plain remainder. */
  below(n: number): number;
}

/** `seed` may be any finite number; its low and high 32 bits both count. */
export function seededRandom(seed: number): Random {
  const state = new Uint32Array(4);
  let mixed = (seed >>> 0) ^ Math.imul(Math.floor(seed / 2 ** 32) >>> 0, 0x9e3779b9);
  for (let i = 0; i < 4; i++) {
    mixed = (mixed + 0x9e3779b9) | 0;
    let z = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    state[i] = z ^ (z >>> 15);
  }
  const bits = () => nextBits(state);
  return {
    next: () => bits() / 2 ** 32,
    below: (n) => {
      const limit = 2 ** 32 - (2 ** 32 % n);
      for (;;) {
        const draw = bits();
        if (draw < limit) return draw % n;
      }
    },
  };
}

function nextBits(s: Uint32Array): number {
  const [a, b, c, d] = s as unknown as [number, number, number, number];
  const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
  const t = c ^ a;
  const u = d ^ b;
  s[0] = a ^ u;
  s[1] = b ^ t;
  s[2] = t ^ (b << 9);
  s[3] = rotateLeft(u, 11);
  return result;
}

function rotateLeft(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}

/** `count` different indices out of 0…n−1, ascending; every subset is equally likely. */
export function drawWithoutReplacement(n: number, count: number, random: Random): number[] {
  const indices = Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    const j = i + random.below(n - i);
    [indices[i], indices[j]] = [indices[j]!, indices[i]!];
  }
  return indices.slice(0, count).sort((a, b) => a - b);
}
