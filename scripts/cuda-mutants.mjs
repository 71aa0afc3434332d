// Finds the places of native/cuda where cuda-mutate.mjs puts a fault, and writes copies of the sources in which each
// fault waits behind a switch.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './toolchain.mjs';

const folder = join(root, 'native', 'cuda');
// The vocabulary, and host code.
const skipped = /^(kernel|instructions|runtime|device|steps)\.h$|^(runtime|device|table)\.cu$/;

/** The text with comments and strings blanked out, of the same length. */
function codeOnly(text) {
  return text.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"/g, (match) =>
    match.replace(/[^\n]/g, ' '),
  );
}

/** The place behind the bracket that closes the one at `open`. */
function behindBracket(code, open) {
  const close = { '(': ')', '{': '}' }[code[open]];
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if (code[i] === code[open]) depth++;
    if (code[i] === close && --depth === 0) return i + 1;
  }
  return code.length;
}

/** [from, to, name] of the bodies of device functions. */
function deviceBodies(code) {
  const bodies = [];
  for (const found of code.matchAll(/\bFCDD_(KERNEL|GPU)\b/g)) {
    const parameters = /\b(?!FCDD_BOUNDS\b)(~?\w+|operator\S+)\s*\(/g;
    parameters.lastIndex = found.index + found[0].length;
    const head = parameters.exec(code);
    if (head === null) continue;
    const open = code.indexOf('{', behindBracket(code, head.index + head[0].length - 1));
    const end = code.indexOf(';', behindBracket(code, head.index + head[0].length - 1));
    if (open < 0 || (end >= 0 && end < open)) continue; // a declaration
    bodies.push([open, behindBracket(code, open), head[1]]);
  }
  return bodies;
}

/** The arguments of the call whose bracket opens at `open`, as [from, to]. */
function argumentsOf(code, open) {
  const end = behindBracket(code, open) - 1;
  const list = [];
  let depth = 0;
  let from = open + 1;
  for (let i = open + 1; i < end; i++) {
    if ('([{'.includes(code[i])) depth++;
    if (')]}'.includes(code[i])) depth--;
    if (code[i] === ',' && depth === 0) {
      list.push([from, i]);
      from = i + 1;
    }
  }
  list.push([from, end]);
  return list;
}

const kinds = [
  {
    kind: 'sync_block',
    pattern: /\bsync_block\(\);/g,
    replace: (text, n) => `if (!FCDD_MUTANT(${n})) ${text}`,
  },
  {
    kind: 'sync_warp',
    pattern: /\bsync_warp\(\);/g,
    replace: (text, n) => `if (!FCDD_MUTANT(${n})) ${text}`,
  },
  {
    kind: 'copy_async_wait',
    pattern: /\bcopy_async_wait<[^;()]*>\(\);/g,
    replace: (text, n) => `if (!FCDD_MUTANT(${n})) ${text}`,
  },
  { kind: '< becomes <=', pattern: / < /g, replace: (text, n) => `${text}FCDD_MUTANT_BOUND(${n}) + ` },
  { kind: '>= becomes >', pattern: / >= /g, replace: (text, n) => `${text}FCDD_MUTANT_BOUND(${n}) + ` },
];

/** Edits [from, to, kind, replacement(number)] of one file. */
function editsOf(code) {
  const edits = [];
  for (const [from, to, name] of deviceBodies(code)) {
    for (const { kind, pattern, replace } of kinds) {
      pattern.lastIndex = from;
      for (let found = pattern.exec(code); found !== null && found.index < to; found = pattern.exec(code)) {
        const line = code.slice(code.lastIndexOf('\n', found.index) + 1, code.indexOf('\n', found.index));
        if (/\bconstexpr\b|static_assert|\btemplate\b|\brequires\b/.test(line)) continue; // known to the compiler
        const text = found[0];
        edits.push({
          from: found.index,
          to: found.index + text.length,
          kind,
          name,
          replace: (n) => replace(text, n),
        });
      }
    }
    for (const found of code.slice(from, to).matchAll(/\bcopy_async_(?:4|16)\(/g)) {
      const mask = argumentsOf(code, from + found.index + found[0].length - 1)[2];
      if (mask === undefined || code.slice(...mask).trim() === 'true') continue;
      const text = code.slice(...mask).trim();
      edits.push({
        ...{ from: mask[0], to: mask[1], kind: 'mask', name },
        replace: (n) => ` FCDD_MUTANT(${n}) || (${text})`,
      });
    }
  }
  return edits.sort((a, b) => a.from - b.from);
}

function files() {
  return readdirSync(folder).filter((name) => /\.(cu|h)$/.test(name) && !skipped.test(name));
}

/** A number that depends on the key alone, so that a change to one file does not rebuild the others (FNV-1a). */
function numberOf(key) {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 1;
}

/** All faults with their numbers and keys. A key stays the same while its function does. */
function allEdits() {
  const list = [];
  const seen = new Map();
  for (const file of files().sort()) {
    const text = readFileSync(join(folder, file), 'utf8');
    for (const edit of editsOf(codeOnly(text))) {
      const line = text.slice(text.lastIndexOf('\n', edit.from) + 1, text.indexOf('\n', edit.from)).trim();
      const stem = `${file} ${edit.name}: ${edit.kind}: ${line}`;
      const count = (seen.get(stem) ?? 0) + 1;
      seen.set(stem, count);
      const key = count > 1 ? `${stem} #${count}` : stem;
      list.push({
        ...edit,
        file,
        key,
        number: numberOf(key),
        line: text.slice(0, edit.from).split('\n').length,
      });
    }
  }
  if (new Set(list.map(({ number }) => number)).size !== list.length)
    throw new Error('two faults share a number');
  return list;
}

export function collectMutants() {
  return allEdits().map(({ file, number, kind, key, line }) => ({ file, number, kind, key, line }));
}

const header = `// Switches of the faults that cuda-mutate.mjs has put into the copies beside this file.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <type_traits>

namespace fcdd::mutants {

inline const int active = std::getenv("FCDD_MUTANT") != nullptr ? std::atoi(std::getenv("FCDD_MUTANT")) : -1;

[[gnu::noinline, gnu::cold]] inline bool reached() {
  static const bool once = [] {
    std::fputs("mutant reached\\n", stderr);
    return true;
  }();
  return once;
}

inline bool on(int number) { return __builtin_expect(number == active, 0) && reached(); }

// on + b is the next value after b while the fault is switched on: a < on + b is then a <= b.
struct Bound {
  bool on;
};
template <class T>
inline T operator+(Bound bound, T value) {
  if constexpr (std::is_floating_point_v<T>) {
    return bound.on ? std::nextafter(value, std::numeric_limits<T>::infinity()) : value;
  } else {
    return static_cast<T>(value + (bound.on ? 1 : 0));
  }
}

}  // namespace fcdd::mutants

#define FCDD_MUTANT(number) ::fcdd::mutants::on(number)
#define FCDD_MUTANT_BOUND(number) ::fcdd::mutants::Bound{::fcdd::mutants::on(number)}
`;

/** Writes the copies; a file that has not changed keeps its time, so that builds stay short. */
export function writeMutants(target) {
  const edits = allEdits();
  mkdirSync(join(target, 'cuda'), { recursive: true });
  const write = (path, text) => {
    try {
      if (readFileSync(path, 'utf8') === text) return;
    } catch {}
    writeFileSync(path, text);
  };
  const wanted = new Set(readdirSync(folder).filter((name) => /\.cu$/.test(name) || files().includes(name)));
  for (const name of readdirSync(join(target, 'cuda'))) {
    if (!wanted.has(name)) rmSync(join(target, 'cuda', name));
  }
  for (const file of wanted) {
    let text = readFileSync(join(folder, file), 'utf8');
    for (const edit of edits.filter((candidate) => candidate.file === file).reverse()) {
      text = text.slice(0, edit.from) + edit.replace(edit.number) + text.slice(edit.to);
    }
    write(join(target, 'cuda', file), text);
  }
  write(join(target, 'mutant.h'), header);
}
