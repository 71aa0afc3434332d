// Gradient of y = pool(act(norm(x))). With batch statistics two passes over the input: sums per channel of
// the gradient g of norm(x) and of g (x - mean), then
//   dx = gamma inv_std (g - mean(g) - xhat mean(g xhat)),  xhat = (x - mean) inv_std.
// Sums are kept per slice of an image, in double, and added in the order of the slices.
#include <cstring>

#include "cpu/post_shape.h"
#include "cpu/steps.h"
#include "cpu/threads.h"

namespace fcdd::cpu {
namespace {

struct Slices {
  int64_t rows, per_image, count;
};

Slices slices_of(const PostShape& s) {
  const int64_t rows = rows_per_slice(s.h, s.w * s.c), per_image = (s.h + rows - 1) / rows;
  return {rows, per_image, s.n * per_image};
}

struct Operands {
  const float *x, *dy;
  const uint8_t* argmax;  // null without pooling
  float* dx;
  const float *mean, *inv_std, *gamma, *beta;  // of the normalisation; gamma and beta may be null
};

// Per-channel floats of the kernel, in the workspace.
struct Constants {
  float *scale, *shift, *factor, *offset;
};

// Visits (slice, image, first row, last row, first channel, rows of at most post_channels channels) in
// parallel.
template <class Body>
void for_each_slice(const CpuDevice& device, const FcddPostProblem& p, const PostShape& s, const Operands& o,
                    const Constants& k, Body body) {
  const Slices slices = slices_of(s);
  parallel(device.threads, slices.count, [&](int64_t slice, int) {
    const int64_t image = slice / slices.per_image, first = slice % slices.per_image * slices.rows;
    for (int64_t c = 0; c < s.c; c += post_channels) {
      PostRows rows = rows_of(p, s);
      rows.channels = static_cast<int>(std::min<int64_t>(post_channels, s.c - c));
      if (s.norm) rows.mean = o.mean + c, rows.scale = k.scale + c, rows.shift = k.shift + c;
      body(slice, image, static_cast<int>(first), static_cast<int>(std::min(first + slices.rows, s.h)), c,
           rows);
    }
  });
}

// Slot of a slice: sum(g) then sum(g (x - mean)), s.c doubles each.
void add_up_slices(const CpuDevice& device, const FcddPostProblem& p, const PostShape& s, const Operands& o,
                   const Constants& k, double* slots) {
  std::memset(slots, 0, static_cast<size_t>(slices_of(s).count * 2 * s.c) * sizeof(double));
  for_each_slice(device, p, s, o, k,
                 [&](int64_t slice, int64_t image, int first, int last, int64_t c, const PostRows& rows) {
                   const int64_t in = image * s.h * s.w * s.c + c, out = image * s.oh * s.ow * s.c + c;
                   double* sum = slots + slice * 2 * s.c + c;
                   device.isa->post_sums(rows, o.x + in, o.dy + out,
                                         o.argmax != nullptr ? o.argmax + out : nullptr, first, last, sum,
                                         sum + s.c);
                 });
}

// Totals of one channel -> dgamma, dbeta and the constants of the second pass.
void finish_channel(const PostShape& s, const Operands& o, const Constants& k, const double* slots, int64_t c,
                    float* dgamma, float* dbeta) {
  double sum = 0, product = 0;
  for (int64_t slice = 0; slice < slices_of(s).count; slice++) {
    sum += slots[slice * 2 * s.c + c];
    product += slots[slice * 2 * s.c + s.c + c];
  }
  const double inv_std = static_cast<double>(o.inv_std[c]), scale = static_cast<double>(k.scale[c]);
  const auto count = static_cast<double>(s.n * s.h * s.w);
  if (dgamma != nullptr) dgamma[c] = static_cast<float>(product * inv_std);
  if (dbeta != nullptr) dbeta[c] = static_cast<float>(sum);
  k.factor[c] = static_cast<float>(-scale * product * inv_std * inv_std / count);
  k.offset[c] = static_cast<float>(-scale * sum / count);
}

uint64_t slot_doubles(const PostShape& s) {
  return s.norm ? round_up(static_cast<uint64_t>(slices_of(s).count * 2 * s.c), 8) : 0;
}

uint64_t constant_floats(const PostShape& s) {
  return s.norm ? 4 * round_up(s.channels(), 16) : 0;
}

Operands operands_of(const CpuDevice& device, const FcddPostBackward& a, const PostShape& s) {
  Operands o{};
  o.dy = at<float>(device, a.dy, s.outputs(), "post_backward: dy");
  o.x = at<float>(device, a.x, s.inputs(), "post_backward: x");
  o.dx = at<float>(device, a.dx, s.inputs(), "post_backward: dx");
  if (a.p.pool.kernel > 0) o.argmax = at<uint8_t>(device, a.argmax, s.outputs(), "post_backward: argmax");
  if (!s.norm) return o;
  o.mean = at<float>(device, a.mean, s.channels(), "post_backward: mean");
  o.inv_std = at<float>(device, a.inv_std, s.channels(), "post_backward: inv_std");
  o.gamma = at_or_null<float>(device, a.gamma, s.channels(), "post_backward: gamma");
  o.beta = at_or_null<float>(device, a.beta, s.channels(), "post_backward: beta");
  return o;
}

}  // namespace

uint64_t post_workspace_bytes(const CpuDevice&, const FcddPostProblem& p) {
  const PostShape s = shape_of(p);
  return slot_doubles(s) * sizeof(double) + constant_floats(s) * sizeof(float);
}

void post_backward(CpuDevice& device, const FcddPostBackward& a) {
  require(a.p.norm != FCDD_NORM_RUNNING, "post_backward: there is no gradient through running statistics");
  const PostShape s = shape_of(a.p);
  const Operands o = operands_of(device, a, s);
  Constants k{};
  if (s.norm) {
    float* dgamma = at_or_null<float>(device, a.dgamma, s.channels(), "post_backward: dgamma");
    float* dbeta = at_or_null<float>(device, a.dbeta, s.channels(), "post_backward: dbeta");
    double* slots =
        at<double>(device, a.workspace, slot_doubles(s) + constant_floats(s) / 2, "post_backward: workspace");
    const uint64_t padded = round_up(s.channels(), 16);
    k.scale = reinterpret_cast<float*>(slots + slot_doubles(s));
    k.shift = k.scale + padded, k.factor = k.shift + padded, k.offset = k.factor + padded;
    for (int64_t c = 0; c < s.c; c++) {
      k.scale[c] = o.gamma != nullptr ? o.inv_std[c] * o.gamma[c] : o.inv_std[c];
      k.shift[c] = o.beta != nullptr ? o.beta[c] : 0;
    }
    add_up_slices(device, a.p, s, o, k, slots);
    for (int64_t c = 0; c < s.c; c++) finish_channel(s, o, k, slots, c, dgamma, dbeta);
  }
  for_each_slice(device, a.p, s, o, k,
                 [&](int64_t, int64_t image, int first, int last, int64_t c, const PostRows& rows) {
                   const int64_t in = image * s.h * s.w * s.c + c, out = image * s.oh * s.ow * s.c + c;
                   device.isa->post_gradient(
                       rows, o.x + in, o.dy + out, o.argmax != nullptr ? o.argmax + out : nullptr, first,
                       last, s.norm ? k.factor + c : nullptr, s.norm ? k.offset + c : nullptr, o.dx + in);
                 });
}

}  // namespace fcdd::cpu
