// The FCDD loss and its gradient with respect to the network's output (Liznerski et al., ICLR 2021, eq. 3 and
// 4, and the reference code's log(1 - exp(-m) + 1e-31)). Maps in float, sums and transcendental functions in
// double.
//
// Sample-wise: one block per sample. Pixel-wise: A is upsampled to wide maps, then tiles of A' are summed as
// they are computed and never stored; the gradient by A' follows from the mask and the sample's slope alone.
// A sample's loss does not depend on the others.
#include "cuda/huber.h"
#include "cuda/reduce.h"
#include "cuda/steps.h"
#include "cuda/upsample.h"
#include "cuda/values.h"

namespace fcdd::cuda {
namespace {

// -log(1 - exp(-m) + 1e-31) and its derivative; 1 - exp(-m) through expm1, exact for small m.
struct Repulsion {
  double value, slope;
};

FCDD_GPU Repulsion repulsion(double m) {
  const double inside = -expm1(-m) + 1e-31;
  return {-log(inside), -exp(-m) / inside};
}

struct SampleWise {
  int64_t size;
  double per_sample;  // 1 / batch
  const float* z;
  const uint8_t* labels;
  double* losses;
  float* dz;  // may be null
};

FCDD_KERNEL void sample_wise(SampleWise a) {
  FCDD_SHARED_ARRAY(double, shared, [block_threads]);
  FCDD_SHARED_ARRAY(double, factor, [1]);
  const int64_t first = int64_t{blockIdx.x} * a.size;
  double sum[1] = {};
  for (int64_t i = threadIdx.x; i < a.size; i += block_threads) sum[0] += huber(a.z[first + i]);
  sum_rows(sum, shared, static_cast<int>(threadIdx.x), 1, block_threads);
  if (threadIdx.x == 0) {
    const double mean = sum[0] / static_cast<double>(a.size);
    const Repulsion cost = a.labels[blockIdx.x] != 0 ? repulsion(mean) : Repulsion{mean, 1};
    a.losses[blockIdx.x] = cost.value;
    factor[0] = cost.slope * a.per_sample / static_cast<double>(a.size);
  }
  if (a.dz == nullptr) return;
  sync_block();
  for (int64_t i = threadIdx.x; i < a.size; i += block_threads) {
    a.dz[first + i] = static_cast<float>(factor[0] * huber_slope(a.z[first + i]));
  }
}

FCDD_KERNEL void low_maps(int64_t count, const float* z, float* low) {
  const int64_t i = int64_t{blockIdx.x} * block_threads + threadIdx.x;
  if (i < count) low[i] = static_cast<float>(huber(z[i]));
}

// Per tile of an image: the sum of A' where the mask is 0, where it is 1, and how many of these there are.
FCDD_KERNEL void sum_tiles(Axis y, int columns, MapTile tile, const float* taps, const float* wide,
                           const uint8_t* masks, double* partial) {
  FCDD_SHARED_ARRAY(double, shared, [3 * tile_threads]);
  const int64_t image = blockIdx.x / tile.count();
  const int index = static_cast<int>(blockIdx.x % tile.count());
  const int column = index % tile.across * tile.columns + static_cast<int>(threadIdx.x);
  const int first = index / tile.across * tile.rows * rows_per_thread + static_cast<int>(threadIdx.y);
  const int last = min(first + tile.rows * rows_per_thread, y.full);
  double sums[3] = {};
  if (column < columns) {
    for (int row = first; row < last; row += tile.rows) {
      const float* low = wide + image * y.low * columns + column;
      const auto value = static_cast<double>(spread(y, taps, row, low, columns));
      const bool anomalous = masks[(image * y.full + row) * columns + column] != 0;
      sums[0] += anomalous ? 0 : value;
      sums[1] += anomalous ? value : 0;
      sums[2] += anomalous ? 1 : 0;
    }
  }
  const int thread = static_cast<int>(threadIdx.y) * tile.columns + static_cast<int>(threadIdx.x);
  sum_rows(sums, shared, thread, 1, tile_threads);
  if (thread > 0) return;
  for (int k = 0; k < 3; k++) partial[int64_t{blockIdx.x} * 3 + k] = sums[k];
}

// One block per sample: its loss, and the slope of the loss by A' where the mask is 1 (elsewhere it is 1),
// before the division by the number of pixels.
FCDD_KERNEL void finish_samples(int tiles, double pixels, const double* partial, double* losses,
                                double* slope) {
  FCDD_SHARED_ARRAY(double, shared, [3 * block_threads]);
  double sums[3] = {};
  for (int t = static_cast<int>(threadIdx.x); t < tiles; t += block_threads) {
    for (int k = 0; k < 3; k++) sums[k] += partial[(int64_t{blockIdx.x} * tiles + t) * 3 + k];
  }
  sum_rows(sums, shared, static_cast<int>(threadIdx.x), 1, block_threads);
  if (threadIdx.x > 0) return;
  const Repulsion cost = sums[2] > 0 ? repulsion(sums[1] / pixels) : Repulsion{0, 0};
  losses[blockIdx.x] = sums[0] / pixels + cost.value;
  slope[blockIdx.x] = cost.slope;
}

// The adjoint along y, of the gradient by A'.
FCDD_KERNEL void masks_to_wide(Axis y, int64_t rows, int columns, double pixels, const float* taps,
                               const uint8_t* masks, const double* slope, float* wide) {
  const Position at = position();
  if (outside(at, rows, columns)) return;
  const int64_t image = at.row / y.low;
  const uint8_t* column = masks + image * y.full * columns + at.column;
  const auto inside = static_cast<float>(slope[image] / pixels), outside = static_cast<float>(1 / pixels);
  wide[at.row * columns + at.column] = gather(y, taps, static_cast<int>(at.row - image * y.low), [&](int o) {
    return column[int64_t{o} * columns] != 0 ? inside : outside;
  });
}

// The adjoint along x, times the map's slope.
FCDD_KERNEL void wide_to_gradient(Axis x, int64_t rows, double per_sample, const float* taps,
                                  const float* wide, const float* z, float* dz) {
  const Position at = position();
  if (outside(at, rows, x.low)) return;
  const float* row = wide + at.row * x.full;
  const double map = static_cast<double>(gather(x, taps, at.column, [&](int o) { return row[o]; }));
  const int64_t i = at.row * x.low + at.column;
  dz[i] = static_cast<float>(per_sample * map * huber_slope(z[i]));
}

// One block. Adds the sum of losses, of normal, of anomalous, and the numbers of these.
FCDD_KERNEL void add_report(int batch, const double* losses, const uint8_t* labels, double* report) {
  FCDD_SHARED_ARRAY(double, shared, [4 * block_threads]);
  double sums[4] = {};
  for (int n = static_cast<int>(threadIdx.x); n < batch; n += block_threads) {
    const bool anomalous = labels[n] != 0;
    sums[0] += anomalous ? 0 : losses[n];
    sums[1] += anomalous ? losses[n] : 0;
    sums[2] += anomalous ? 0 : 1;
    sums[3] += anomalous ? 1 : 0;
  }
  sum_rows(sums, shared, static_cast<int>(threadIdx.x), 1, block_threads);
  if (threadIdx.x > 0) return;
  report[0] += sums[0] + sums[1];
  for (int k = 0; k < 4; k++) report[1 + k] += sums[k];
}

void pixel_wise(const CudaDevice& device, const FcddLoss& a, const float* z, double* losses, float* dz) {
  check(a.up);
  require(a.up.in_height == a.height && a.up.in_width == a.width,
          "loss: the upsampling's input is not the map");
  const auto n = static_cast<uint64_t>(a.batch);
  const auto full = static_cast<uint64_t>(a.up.height) * static_cast<uint64_t>(a.up.width);
  const float* taps = at<float>(device, a.taps, static_cast<uint64_t>(a.up.taps), "loss: taps");
  const uint8_t* masks = at<uint8_t>(device, a.masks, n * full, "loss: masks");
  const UpsampleWorkspace w = upsample_workspace(device, a.up, a.batch, a.workspace, "loss: workspace");
  const int64_t low = int64_t{a.batch} * a.height * a.width, rows = int64_t{a.batch} * a.height;
  const MapTile tile = map_tile(a.up);
  const int64_t blocks = (low + block_threads - 1) / block_threads, tiles = int64_t{a.batch} * tile.count();
  require(blocks < int64_t{1} << 31 && tiles < int64_t{1} << 31, "loss: too many values");
  const double pixels = static_cast<double>(full);
  const unsigned samples = static_cast<unsigned>(a.batch);

  launch("loss: map", low_maps, {{static_cast<unsigned>(blocks)}, {block_threads}}, device.stream, low, z,
         w.low);
  spread_x(device, a.up, a.batch, taps, w.low, w.wide);
  launch("loss: tiles", sum_tiles,
         {{static_cast<unsigned>(tiles)},
          {static_cast<unsigned>(tile.columns), static_cast<unsigned>(tile.rows)}},
         device.stream, axis_y(a.up), a.up.width, tile, taps, w.wide, masks, w.partial);
  launch("loss: samples", finish_samples, {{samples}, {block_threads}}, device.stream, tile.count(), pixels,
         w.partial, losses, w.slope);
  if (dz == nullptr) return;
  const PlaneShape first = plane(rows, a.up.width), second = plane(rows, a.width);
  launch("loss: adjoint y", masks_to_wide, {first.grid, first.block}, device.stream, axis_y(a.up), rows,
         a.up.width, pixels, taps, masks, w.slope, w.wide);
  launch("loss: adjoint x", wide_to_gradient, {second.grid, second.block}, device.stream, axis_x(a.up), rows,
         1.0 / a.batch, taps, w.wide, z, dz);
}

}  // namespace

void loss(CudaDevice& device, const FcddLoss& a) {
  require(a.batch > 0 && a.height > 0 && a.width > 0, "loss: expected positive extents");
  const auto n = static_cast<uint64_t>(a.batch);
  const uint64_t size = static_cast<uint64_t>(a.height) * static_cast<uint64_t>(a.width);
  const float* z = at<float>(device, a.z, n * size, "loss: z");
  const uint8_t* labels = at<uint8_t>(device, a.labels, n, "loss: labels");
  double* losses = at<double>(device, a.losses, n, "loss: losses");
  float* dz = at_or_null<float>(device, a.dz, n * size, "loss: dz");
  double* report = at_or_null<double>(device, a.report, 5, "loss: report");
  if (a.pixelwise) {
    pixel_wise(device, a, z, losses, dz);
  } else {
    const SampleWise k{static_cast<int64_t>(size), 1.0 / a.batch, z, labels, losses, dz};
    launch("loss", sample_wise, {{static_cast<unsigned>(a.batch)}, {block_threads}}, device.stream, k);
  }
  if (report == nullptr) return;
  launch("loss: report", add_report, {{1}, {block_threads}}, device.stream, a.batch, losses, labels, report);
}

}  // namespace fcdd::cuda
