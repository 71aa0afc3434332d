"""Writes probe_table.h: what the probe kernels of probe.cu must give, computed from the text of the PTX ISA.

    python3 native/tests/cuda/probe_table.py > native/tests/cuda/probe_table.h
"""

import struct

LANES = range(32)


def pattern(lane, size):
    return lane * 1000 - 7 if size == 4 else (lane - 5) * 2**33 + lane


def truncated(value, divisor):
    return abs(value) // divisor * (1 if value >= 0 else -1)


def words(kind, lane):
    """The 32-bit words of pattern(lane)/4 in a type of C."""
    size = 4 if kind in ("float", "int32", "uint32") else 8
    value = pattern(lane, size)
    if kind == "float":
        data = struct.pack("<f", struct.unpack("<f", struct.pack("<f", value))[0] / 4)
    elif kind == "double":
        data = struct.pack("<d", value / 4)
    elif kind.startswith("u"):
        data = (value % 2 ** (8 * size) // 4).to_bytes(size, "little")
    else:
        data = truncated(value, 4).to_bytes(size, "little", signed=True)
    return list(struct.unpack("<%dI" % (len(data) // 4), data))


def shuffle_down(kind):
    sources = [lane + d if lane + d < 32 else lane for d in (1, 20) for lane in LANES]
    return [word for lane in sources for word in words(kind, lane)]


def shuffle_xor(kind):
    return [word for m in (1, 22) for lane in LANES for word in words(kind, lane ^ m)]


SOURCE = [7 * i + 3 for i in range(128)]


def copy_async_16():
    slots = [SOURCE[4 * (31 - lane) : 4 * (31 - lane) + 4] if lane % 3 else [0] * 4 for lane in LANES]
    return [word for lane in LANES for word in slots[(lane + 1) % 32]]


def copy_async_4():
    slots = [SOURCE[3 * lane] if lane % 5 != 1 else 0 for lane in LANES]
    return [slots[(lane + 1) % 32] for lane in LANES]


def rounded(i):
    mantissa = 1 + i % 8 / 4096 + i // 8 % 8 / 256
    scaled = [mantissa * 1024, mantissa / 65536, mantissa][i % 3]
    return scaled if i % 2 == 0 else -scaled


def bits(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]


def tf32(value):
    """Nearest with 10 bits of fraction, ties away from zero: .rna."""
    whole, rest = divmod(bits(value), 2**13)
    return (whole + (rest >= 2**12)) * 2**13


def bf16(value):
    """Nearest with 7 bits of fraction, ties to even: .rn."""
    whole, rest = divmod(bits(value), 2**16)
    return whole + (rest > 2**15 or (rest == 2**15 and whole % 2 == 1))


def value_a(i):
    return i * 7 % 13 - 6


def value_b(i):
    return i * 5 % 11 - 5


def value_c(i):
    return i % 17 - 8


def mma(half):
    """Two by two products. Section "Matrix fragments for mma.m16n8k8" (tf32) and "m16n8k16" (bf16): groupID is
    lane >> 2, threadID_in_group is lane % 4."""
    depth = 16 if half else 8
    a = [[[0] * depth for _ in range(16)] for _ in range(2)]
    b = [[[0] * 8 for _ in range(depth)] for _ in range(2)]
    for lane in LANES:
        group, thread = lane >> 2, lane % 4
        for m in range(2):
            for register in range(4):
                i = 128 * m + 4 * lane + register
                row = group if register in (0, 2) else group + 8
                if half:  # a0,a1 | a2,a3 | a4,a5 | a6,a7: columns thread * 2 + (i & 1), + 8 for i >= 4
                    column = thread * 2 + (0 if register < 2 else 8)
                    a[m][row][column], a[m][row][column + 1] = value_a(i), value_a(i + 1000)
                else:  # a0, a1: column thread; a2, a3: thread + 4
                    a[m][row][thread + (0 if register < 2 else 4)] = value_a(i)
        for n in range(2):
            for register in range(2):
                i = 64 * n + 2 * lane + register
                if half:
                    row = thread * 2 + (0 if register == 0 else 8)
                    b[n][row][group], b[n][row + 1][group] = value_b(i), value_b(i + 1000)
                else:
                    b[n][thread + 4 * register][group] = value_b(i)
    out = []
    for lane in LANES:
        group, thread = lane >> 2, lane % 4
        for i in range(16):
            m, n, register = i // 8, i // 4 % 2, i % 4
            row = group if register < 2 else group + 8
            column = thread * 2 + (register & 1)
            product = sum(a[m][row][k] * b[n][k][column] for k in range(depth))
            out.append((value_c(16 * lane + i) + product) % 2**32)
    return out


TABLES = {
    "sync_block": [3 * ((i + 37) % 64) + 1 for i in range(64)],
    "sync_warp": [5 * (31 - i) + 2 for i in LANES],
    **{
        f"shuffle_{name}_{kind}": make(kind)
        for name, make in (("down", shuffle_down), ("xor", shuffle_xor))
        for kind in ("float", "int32", "uint32", "double", "int64", "uint64")
    },
    "copy_async_16": copy_async_16(),
    "copy_async_4": copy_async_4(),
    "copy_async_wait": SOURCE[:64],
    "to_tf32": [tf32(rounded(i)) for i in range(64)],
    "pack_bf16": [bf16(rounded(i)) | bf16(rounded(63 - i)) << 16 for i in range(64)],
    "mma_tf32": mma(False),
    "mma_bf16": mma(True),
    "atomic_min": [min(i * 37 % 101 - 50 for i in range(128)) % 2**32],
}

print("// Written by probe_table.py; see probe.h.\n#pragma once\n\n#include <cstdint>\n#include <map>")
print("#include <string>\n#include <vector>\n\nnamespace fcdd::test {\n\n// clang-format off")
print("inline const std::map<std::string, std::vector<uint32_t>> probe_table = {")
for name, table in TABLES.items():
    print(f'{{"{name}", {{')
    for start in range(0, len(table), 16):
        print(", ".join(f"{word:#x}" for word in table[start : start + 16]) + ",")
    print("}},")
print("};\n// clang-format on\n\n}  // namespace fcdd::test")
