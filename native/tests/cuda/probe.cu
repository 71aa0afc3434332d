#include "probe.h"

#include <bit>

#include "cuda/instructions.h"
#include "cuda/runtime.h"

namespace fcdd::test {
namespace {

using namespace fcdd::cuda;

FCDD_KERNEL void probe_sync_block(uint32_t* out) {
  FCDD_SHARED_ARRAY(uint32_t, slots, [64]);
  slots[threadIdx.x] = 3 * threadIdx.x + 1;
  sync_block();
  out[threadIdx.x] = slots[(threadIdx.x + 37) % 64];
}

FCDD_KERNEL void probe_sync_warp(uint32_t* out) {
  FCDD_SHARED_ARRAY(uint32_t, slots, [32]);
  slots[threadIdx.x] = 5 * threadIdx.x + 2;
  sync_warp();
  out[threadIdx.x] = slots[31 - threadIdx.x];
}

template <class T>
FCDD_GPU T pattern(int lane) {
  if constexpr (sizeof(T) == 4) return static_cast<T>(lane * 1000 - 7) / static_cast<T>(4);
  return static_cast<T>((static_cast<int64_t>(lane) - 5) * (int64_t{1} << 33) + lane) / static_cast<T>(4);
}

template <class T>
FCDD_GPU void store(uint32_t* out, int at, T value) {
  if constexpr (sizeof(T) == 4) {
    out[at] = std::bit_cast<uint32_t>(value);
  } else {
    const uint64_t bits = std::bit_cast<uint64_t>(value);
    out[2 * at] = static_cast<uint32_t>(bits), out[2 * at + 1] = static_cast<uint32_t>(bits >> 32);
  }
}

template <class T>
FCDD_KERNEL void probe_shuffle_down(uint32_t* out) {
  const int lane = static_cast<int>(threadIdx.x);
  store<T>(out, lane, shuffle_down(pattern<T>(lane), 1));
  store<T>(out, 32 + lane, shuffle_down(pattern<T>(lane), 20));
}

template <class T>
FCDD_KERNEL void probe_shuffle_xor(uint32_t* out) {
  const int lane = static_cast<int>(threadIdx.x);
  store<T>(out, lane, shuffle_xor(pattern<T>(lane), 1));
  store<T>(out, 32 + lane, shuffle_xor(pattern<T>(lane), 22));
}

// Words 512.. of `out` are the source.
FCDD_GPU uint32_t* make_source(uint32_t* out) {
  uint32_t* source = out + 512;
  for (int i = static_cast<int>(threadIdx.x); i < 128; i += 32) source[i] = static_cast<uint32_t>(7 * i + 3);
  sync_block();
  return source;
}

FCDD_KERNEL void probe_copy_async_16(uint32_t* out) {
  FCDD_SHARED_ARRAY(uint4, slots, [32]);
  const uint32_t* source = make_source(out);
  const int lane = static_cast<int>(threadIdx.x);
  copy_async_16(&slots[lane], source + 4 * (31 - lane), lane % 3 != 0);
  copy_async_commit();
  copy_async_wait<0>();
  sync_warp();
  const uint4 other = slots[(lane + 1) % 32];
  out[4 * lane] = other.x, out[4 * lane + 1] = other.y, out[4 * lane + 2] = other.z,
          out[4 * lane + 3] = other.w;
}

FCDD_KERNEL void probe_copy_async_4(uint32_t* out) {
  FCDD_SHARED_ARRAY(uint32_t, slots, [32]);
  const uint32_t* source = make_source(out);
  const int lane = static_cast<int>(threadIdx.x);
  copy_async_4(&slots[lane], source + 3 * lane, lane % 5 != 1);
  copy_async_commit();
  copy_async_wait<0>();
  sync_warp();
  out[lane] = slots[(lane + 1) % 32];
}

// Two groups: the first is there after wait<1>, the second after wait<0>.
FCDD_KERNEL void probe_copy_async_wait(uint32_t* out) {
  FCDD_SHARED_ARRAY(uint32_t, slots, [64]);
  const uint32_t* source = make_source(out);
  const int lane = static_cast<int>(threadIdx.x);
  copy_async_4(&slots[lane], source + lane, true);
  copy_async_commit();
  copy_async_4(&slots[32 + lane], source + 32 + lane, true);
  copy_async_commit();
  copy_async_wait<1>();
  out[lane] = slots[lane];
  copy_async_wait<0>();
  out[32 + lane] = slots[32 + lane];
}

// Finite values of both signs with every kind of rounding.
FCDD_GPU float rounded(int i) {
  const float mantissa = 1 + static_cast<float>(i % 8) / 4096 + static_cast<float>(i / 8 % 8) / 256;
  const float scaled = i % 3 == 0 ? mantissa * 1024 : i % 3 == 1 ? mantissa / 65536 : mantissa;
  return i % 2 == 0 ? scaled : -scaled;
}

FCDD_KERNEL void probe_to_tf32(uint32_t* out) {
  for (int i = static_cast<int>(threadIdx.x); i < 64; i += 32) {
    out[i] = to_tf32(rounded(i)) & 0xffffe000u;  // the rest belongs to no tf32 value
  }
}

FCDD_KERNEL void probe_pack_bf16(uint32_t* out) {
  for (int i = static_cast<int>(threadIdx.x); i < 64; i += 32)
    out[i] = pack_bf16(rounded(i), rounded(63 - i));
}

// Small whole numbers, exact in both formats; fragments are given by lane and register alone.
FCDD_GPU int value_a(int i) {
  return i * 7 % 13 - 6;
}
FCDD_GPU int value_b(int i) {
  return i * 5 % 11 - 5;
}
FCDD_GPU int value_c(int i) {
  return i % 17 - 8;
}

template <bool Bf16>
FCDD_KERNEL void probe_mma(uint32_t* out) {
  const int lane = static_cast<int>(threadIdx.x);
  float acc[2][2][4];
  uint32_t a[2][4], b[2][2];
  for (int m = 0; m < 2; m++) {
    for (int q = 0; q < 4; q++) {
      const int i = 128 * m + 4 * lane + q;
      const float low = static_cast<float>(value_a(i)), high = static_cast<float>(value_a(i + 1000));
      a[m][q] = Bf16 ? pack_bf16(low, high) : to_tf32(low);
    }
  }
  for (int n = 0; n < 2; n++) {
    for (int q = 0; q < 2; q++) {
      const int i = 64 * n + 2 * lane + q;
      const float low = static_cast<float>(value_b(i)), high = static_cast<float>(value_b(i + 1000));
      b[n][q] = Bf16 ? pack_bf16(low, high) : to_tf32(low);
    }
  }
  for (int i = 0; i < 16; i++) acc[i / 8][i / 4 % 2][i % 4] = static_cast<float>(value_c(16 * lane + i));
  if constexpr (Bf16) {
    mma_bf16(acc, a, b);
  } else {
    mma_tf32(acc, a, b);
  }
  for (int i = 0; i < 16; i++) {
    out[16 * lane + i] = static_cast<uint32_t>(static_cast<int32_t>(acc[i / 8][i / 4 % 2][i % 4]));
  }
}

FCDD_KERNEL void probe_atomic_min(uint32_t* out) {
  const int i = static_cast<int>(blockIdx.x * 64 + threadIdx.x);
  atomic_min(reinterpret_cast<int32_t*>(out), i * 37 % 101 - 50);
}

constexpr uint64_t kWords = 1024;

struct Entry {
  const char* name;
  void (*kernel)(uint32_t*);
  unsigned grid, block;
  size_t words;
  bool tensor_cores = false;
};

const Entry entries[] = {
    {"sync_block", probe_sync_block, 1, 64, 64},
    {"sync_warp", probe_sync_warp, 1, 32, 32},
    {"shuffle_down_float", probe_shuffle_down<float>, 1, 32, 64},
    {"shuffle_down_int32", probe_shuffle_down<int32_t>, 1, 32, 64},
    {"shuffle_down_uint32", probe_shuffle_down<uint32_t>, 1, 32, 64},
    {"shuffle_down_double", probe_shuffle_down<double>, 1, 32, 128},
    {"shuffle_down_int64", probe_shuffle_down<int64_t>, 1, 32, 128},
    {"shuffle_down_uint64", probe_shuffle_down<uint64_t>, 1, 32, 128},
    {"shuffle_xor_float", probe_shuffle_xor<float>, 1, 32, 64},
    {"shuffle_xor_int32", probe_shuffle_xor<int32_t>, 1, 32, 64},
    {"shuffle_xor_uint32", probe_shuffle_xor<uint32_t>, 1, 32, 64},
    {"shuffle_xor_double", probe_shuffle_xor<double>, 1, 32, 128},
    {"shuffle_xor_int64", probe_shuffle_xor<int64_t>, 1, 32, 128},
    {"shuffle_xor_uint64", probe_shuffle_xor<uint64_t>, 1, 32, 128},
    {"copy_async_16", probe_copy_async_16, 1, 32, 128},
    {"copy_async_4", probe_copy_async_4, 1, 32, 32},
    {"copy_async_wait", probe_copy_async_wait, 1, 32, 64},
    {"to_tf32", probe_to_tf32, 1, 32, 64, true},
    {"pack_bf16", probe_pack_bf16, 1, 32, 64, true},
    {"mma_tf32", probe_mma<false>, 1, 32, 512, true},
    {"mma_bf16", probe_mma<true>, 1, 32, 512, true},
    {"atomic_min", probe_atomic_min, 2, 64, 1},
};

std::vector<uint32_t> run(const Entry& entry, uint32_t* out, Stream stream) {
  std::vector<uint32_t> table(entry.words);
  fill_bytes(stream, out, 0x7f, kWords * sizeof(uint32_t));
  launch(entry.name, entry.kernel, {dim3(entry.grid), dim3(entry.block)}, stream, out);
  copy_to_host(stream, table.data(), out, table.size() * sizeof(uint32_t));
  return table;
}

}  // namespace

const std::vector<Probe>& probes() {
  static const std::vector<Probe> all = [] {
    std::vector<Probe> list;
    for (const Entry& entry : entries) list.push_back({entry.name, entry.tensor_cores});
    return list;
  }();
  return all;
}

std::vector<uint32_t> run_probe(const std::string& name) {
  for (const Entry& entry : entries) {
    if (name != entry.name) continue;
    use_device(0);
    const Stream stream = create_stream();
    uint32_t* out = static_cast<uint32_t*>(allocate(kWords * sizeof(uint32_t)));
    std::vector<uint32_t> table = run(entry, out, stream);
    free_memory(out);
    destroy_stream(stream);
    return table;
  }
  throw Error("FCDD_INVALID_ARGUMENT", "there is no probe " + name);
}

bool has_tensor_cores() {
  return device_facts(0).architecture >= 80;
}

}  // namespace fcdd::test
