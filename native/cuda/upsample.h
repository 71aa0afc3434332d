// Gaussian transposed upsampling, separable: two passes over one axis each, for the steps upsample, loss and
// score.
//
// Low maps are N x in_height x in_width, full ones N x height x width; between the passes, in both
// directions, maps are "wide": N x in_height x width. Then the heavy pass (full <-> wide) runs along y, where
// neighbouring threads read neighbouring values and share their tap. Sums run in ascending order, whatever
// the batch.
#pragma once

#include <bit>

#include "cuda/device.h"
#include "cuda/kernel.h"
#include "fcdd/problems.h"

namespace fcdd::cuda {

// Throws unless extents are positive, the taps exist and positions fit into an int with room to add.
void check(const FcddUpsampleProblem& p);

// low -> wide, full -> wide and so on; n images.
void spread_x(const CudaDevice& device, const FcddUpsampleProblem& p, int n, const float* taps,
              const float* low, float* wide);
void spread_y(const CudaDevice& device, const FcddUpsampleProblem& p, int n, const float* taps,
              const float* wide, float* full);

// What loss, score and upsample keep in the workspace: the partial sums of the pixel-wise loss, three doubles
// per tile, its slope per image, wide maps and low maps.
struct UpsampleWorkspace {
  double* partial;
  double* slope;
  float *wide, *low;
};

// Tiles of a full map: the block's threads lie over columns first; a thread takes tile_rows rows.
struct MapTile {
  int columns, rows;  // threads, powers of two; 256 together
  int across, down;   // tiles of a map
  constexpr int count() const { return across * down; }
};
constexpr int tile_threads = 256, rows_per_thread = 8;

inline MapTile map_tile(const FcddUpsampleProblem& p) {
  MapTile t{};
  t.columns =
      p.width < tile_threads ? static_cast<int>(std::bit_ceil(static_cast<unsigned>(p.width))) : tile_threads;
  t.rows = tile_threads / t.columns;
  t.across = (p.width + t.columns - 1) / t.columns;
  t.down = (p.height + t.rows * rows_per_thread - 1) / (t.rows * rows_per_thread);
  return t;
}

UpsampleWorkspace upsample_workspace(const CudaDevice& device, const FcddUpsampleProblem& p, int n,
                                     const FcddBuffer& buffer, const char* name);

// One axis: output o takes low value i with tap o + start - i * jump, if there is one.
struct Axis {
  int low, full, taps, jump, start;
};

inline Axis axis_x(const FcddUpsampleProblem& p) {
  return {p.in_width, p.width, p.taps, p.jump, (p.taps - 1) / 2 - p.shift};
}
inline Axis axis_y(const FcddUpsampleProblem& p) {
  return {p.in_height, p.height, p.taps, p.jump, (p.taps - 1) / 2 - p.shift};
}

// The value at output o of low values that lie `stride` apart.
FCDD_GPU float spread(const Axis& a, const float* taps, int o, const float* low, int64_t stride) {
  const int highest = o + a.start, lowest = highest - a.taps;  // lowest < i * jump <= highest
  if (highest < 0) return 0;
  const int first = lowest < 0 ? 0 : lowest / a.jump + 1, last = min(a.low - 1, highest / a.jump);
  float sum = 0;
  for (int i = first; i <= last; i++) sum = fmaf(taps[highest - i * a.jump], low[i * stride], sum);
  return sum;
}

// The adjoint: the value at low position i; read(o) gives the full value at o.
template <class Read>
FCDD_GPU float gather(const Axis& a, const float* taps, int i, Read read) {
  const int origin = i * a.jump - a.start;  // meets tap 0
  const int first = max(0, origin), last = min(a.full, origin + a.taps);
  float sum = 0;
  for (int o = first; o < last; o++) sum = fmaf(taps[o - origin], read(o), sum);
  return sum;
}

// One thread per value of `rows` x `columns` planes (rows over all images): the position of a thread.
struct Position {
  int64_t row;
  int column;
};

FCDD_GPU Position position() {
  return {int64_t{blockIdx.x} * blockDim.y + threadIdx.y,
          static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x)};
}

// The last blocks reach beyond the plane.
FCDD_GPU bool outside(const Position& at, int64_t rows, int columns) {
  return at.row >= rows || at.column >= columns;
}

struct PlaneShape {
  dim3 grid, block;
};

inline PlaneShape plane(int64_t rows, int columns) {
  const unsigned across =
      columns < tile_threads ? std::bit_ceil(static_cast<unsigned>(columns)) : unsigned{tile_threads};
  const unsigned down = tile_threads / across;
  const int64_t blocks = (rows + down - 1) / down;
  require(blocks < int64_t{1} << 31, "upsample: too many rows");
  return {{static_cast<unsigned>(blocks), (static_cast<unsigned>(columns) + across - 1) / across},
          {across, down}};
}

}  // namespace fcdd::cuda
