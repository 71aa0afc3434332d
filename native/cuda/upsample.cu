#include "cuda/upsample.h"

#include "cuda/steps.h"

namespace fcdd::cuda {
namespace {

FCDD_KERNEL void low_to_wide(Axis x, int64_t rows, const float* taps, const float* low, float* wide) {
  const Position at = position();
  if (outside(at, rows, x.full)) return;
  wide[at.row * x.full + at.column] = spread(x, taps, at.column, low + at.row * x.low, 1);
}

FCDD_KERNEL void wide_to_full(Axis y, int64_t rows, int columns, const float* taps, const float* wide,
                              float* full) {
  const Position at = position();
  if (outside(at, rows, columns)) return;
  const int64_t image = at.row / y.full;
  const float* column = wide + image * y.low * columns + at.column;
  full[at.row * columns + at.column] =
      spread(y, taps, static_cast<int>(at.row - image * y.full), column, columns);
}

FCDD_KERNEL void full_to_wide(Axis y, int64_t rows, int columns, const float* taps, const float* full,
                              float* wide) {
  const Position at = position();
  if (outside(at, rows, columns)) return;
  const int64_t image = at.row / y.low;
  const float* column = full + image * y.full * columns + at.column;
  wide[at.row * columns + at.column] = gather(y, taps, static_cast<int>(at.row - image * y.low),
                                              [&](int o) { return column[int64_t{o} * columns]; });
}

FCDD_KERNEL void wide_to_low(Axis x, int64_t rows, const float* taps, const float* wide, float* low) {
  const Position at = position();
  if (outside(at, rows, x.low)) return;
  const float* row = wide + at.row * x.full;
  low[at.row * x.low + at.column] = gather(x, taps, at.column, [&](int o) { return row[o]; });
}

uint64_t round_up(uint64_t value) {
  return (value + 7) / 8 * 8;
}

// Doubles and floats of each part, in the order of UpsampleWorkspace.
struct Parts {
  uint64_t partial, slope, wide, low;
  Parts(const FcddUpsampleProblem& p, int n) {
    const auto images = static_cast<uint64_t>(n), high = static_cast<uint64_t>(p.in_height);
    partial = round_up(images * static_cast<uint64_t>(map_tile(p).count()) * 3), slope = round_up(images);
    wide = round_up(images * high * static_cast<uint64_t>(p.width));
    low = round_up(images * high * static_cast<uint64_t>(p.in_width));
  }
  uint64_t doubles() const { return partial + slope + (wide + low) / 2; }
};

}  // namespace

void check(const FcddUpsampleProblem& p) {
  require(p.batch > 0 && p.in_height > 0 && p.in_width > 0 && p.height > 0 && p.width > 0,
          "upsample: expected positive extents");
  require(p.taps > 0 && p.jump > 0, "upsample: expected positive taps and jump");
  constexpr int64_t most = 1 << 22;
  const int64_t in = std::max(p.in_height, p.in_width), out = std::max(p.height, p.width);
  require(in <= most && out <= most && p.taps <= most && p.jump <= most && in * p.jump <= (1 << 29) &&
              p.shift <= most && p.shift >= -most,
          "upsample: expected extents, taps, jump and shift below 2^22");
}

void spread_x(const CudaDevice& device, const FcddUpsampleProblem& p, int n, const float* taps,
              const float* low, float* wide) {
  const int64_t rows = int64_t{n} * p.in_height;
  const PlaneShape shape = plane(rows, p.width);
  launch("upsample: x", low_to_wide, {shape.grid, shape.block}, device.stream, axis_x(p), rows, taps, low,
         wide);
}

void spread_y(const CudaDevice& device, const FcddUpsampleProblem& p, int n, const float* taps,
              const float* wide, float* full) {
  const int64_t rows = int64_t{n} * p.height;
  const PlaneShape shape = plane(rows, p.width);
  launch("upsample: y", wide_to_full, {shape.grid, shape.block}, device.stream, axis_y(p), rows, p.width,
         taps, wide, full);
}

UpsampleWorkspace upsample_workspace(const CudaDevice& device, const FcddUpsampleProblem& p, int n,
                                     const FcddBuffer& buffer, const char* name) {
  const Parts parts(p, n);
  UpsampleWorkspace w{};
  w.partial = at<double>(device, buffer, parts.doubles(), name);
  w.slope = w.partial + parts.partial;
  w.wide = reinterpret_cast<float*>(w.slope + parts.slope);
  w.low = w.wide + parts.wide;
  return w;
}

uint64_t upsample_workspace_bytes(const CudaDevice&, const FcddUpsampleProblem& p) {
  return Parts(p, p.batch).doubles() * sizeof(double);
}

void upsample(CudaDevice& device, const FcddUpsample& a) {
  check(a.p);
  const FcddUpsampleProblem& p = a.p;
  const auto n = static_cast<uint64_t>(p.batch);
  const uint64_t low = n * static_cast<uint64_t>(p.in_height) * static_cast<uint64_t>(p.in_width);
  const uint64_t full = n * static_cast<uint64_t>(p.height) * static_cast<uint64_t>(p.width);
  const float* taps = at<float>(device, a.taps, static_cast<uint64_t>(p.taps), "upsample: taps");
  const float* x = at<float>(device, a.x, a.backward ? full : low, "upsample: x");
  float* y = at<float>(device, a.y, a.backward ? low : full, "upsample: y");
  float* wide = upsample_workspace(device, p, p.batch, a.workspace, "upsample: workspace").wide;
  if (!a.backward) {
    spread_x(device, p, p.batch, taps, x, wide);
    spread_y(device, p, p.batch, taps, wide, y);
    return;
  }
  const int64_t rows = int64_t{p.batch} * p.in_height;
  const PlaneShape first = plane(rows, p.width), second = plane(rows, p.in_width);
  launch("upsample: adjoint y", full_to_wide, {first.grid, first.block}, device.stream, axis_y(p), rows,
         p.width, taps, x, wide);
  launch("upsample: adjoint x", wide_to_low, {second.grid, second.block}, device.stream, axis_x(p), rows,
         taps, wide, y);
}

}  // namespace fcdd::cuda
