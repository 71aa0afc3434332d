// Every step of a network by itself, layer by layer, on buffers of random numbers.
#include <algorithm>
#include <random>

#include "bench.h"

namespace fcdd::test {
namespace {

// A device and buffers that go with it.
class Buffers {
 public:
  explicit Buffers(std::shared_ptr<Device> d) : device(std::move(d)) {}

  FcddBuffer room(uint64_t bytes) {
    if (bytes == 0) return {};
    arenas_.push_back(std::make_unique<Arena>(device, bytes));
    return arenas_.back()->slice(0, bytes);
  }

  // Standard normal values; a block of them is uploaded and then doubled on the device.
  FcddBuffer random(int64_t count) {
    static const std::vector<float> block = [] {
      std::mt19937 random(1);
      std::normal_distribution<float> normal;
      std::vector<float> values(size_t{1} << 20);
      for (float& v : values) v = normal(random);
      return values;
    }();
    const FcddBuffer all = room(static_cast<uint64_t>(count) * sizeof(float));
    uint64_t done = std::min<uint64_t>(all.bytes, block.size() * sizeof(float));
    check(table().upload(handle(), {all.arena, all.offset, done}, block.data()));
    while (done < all.bytes) {
      const uint64_t more = std::min(done, all.bytes - done);
      check(table().copy(handle(), {all.arena, all.offset + done, more}, {all.arena, all.offset, more}));
      done += more;
    }
    return all;
  }

  FcddBuffer reals(int64_t count) { return room(static_cast<uint64_t>(count) * sizeof(float)); }
  FcddBuffer doubles(int64_t count) { return room(static_cast<uint64_t>(count) * sizeof(double)); }
  FcddBuffer filled(int64_t bytes, uint8_t byte) {
    const FcddBuffer buffer = room(static_cast<uint64_t>(bytes));
    check(table().fill(handle(), buffer, byte));
    return buffer;
  }

  const FcddDeviceTable& table() const { return device->table(); }
  FcddDevice* handle() const { return device->handle(); }
  void check(FcddStatus status) const { device->check(status, "a timed step"); }

  std::shared_ptr<Device> device;

 private:
  std::vector<std::unique_ptr<Arena>> arenas_;
};

// What the rows of one layer share.
struct Place {
  const Options& options;
  const PublishedNetwork& network;
  std::string layer;
  int precision, batch;
  Rows& rows;

  void time(const Buffers& b, const char* what, double flops, double bytes,
            const std::function<FcddStatus()>& step) const {
    const auto enqueue = [&] { b.check(step()); };
    const double ms =
        options.reduced ? median_ms(*b.device, enqueue, 0, 1) : median_ms(*b.device, enqueue, 5, 5);
    rows.step(network.name, layer, what, precision, batch, ms, flops, bytes);
  }
};

double real_bytes(int64_t count) {
  return 4.0 * static_cast<double>(count);
}

void bench_conv(const Place& place, const FcddConvProblem& p, bool sums, bool trained, bool input_grad) {
  Buffers b(open_verified(place.options.device, place.precision));
  const FcddDeviceTable& t = b.table();
  const int64_t oh = fcdd_out_extent(p.height, p.kernel, p.stride, p.padding);
  const int64_t ow = fcdd_out_extent(p.width, p.kernel, p.stride, p.padding);
  const int64_t fan_in = int64_t{p.channels} * p.kernel * p.kernel, weights = fan_in * p.filters;
  const int64_t inputs = int64_t{p.batch} * p.height * p.width * p.channels;
  const int64_t outputs = p.batch * oh * ow * p.filters;
  const double flops = 2.0 * static_cast<double>(outputs) * static_cast<double>(fan_in);
  const double bytes = real_bytes(inputs + outputs + weights);
  const FcddBuffer x = b.random(inputs), w = b.random(weights), y = b.random(outputs);
  const auto workspace = [&](int pass) { return b.room(t.conv_workspace_bytes(b.handle(), &p, pass)); };
  const auto packed = [&](int pass) {
    const FcddConvPack pack{p, pass, w, b.room(t.conv_packed_bytes(b.handle(), &p, pass))};
    place.time(b, pass == FCDD_FORWARD ? "pack" : "pack transposed", 0, 2 * real_bytes(weights),
               [&] { return t.conv_pack(b.handle(), &pack); });
    return pack.packed;
  };

  FcddConvForward forward{};
  forward.p = p, forward.x = x, forward.packed = packed(FCDD_FORWARD), forward.y = y;
  forward.bias = b.random(p.filters);
  if (sums) forward.sums = b.doubles(int64_t{p.batch} * 2 * p.filters);
  forward.workspace = workspace(FCDD_FORWARD);
  place.time(b, sums ? "forward + sums" : "forward", flops, bytes,
             [&] { return t.conv_forward(b.handle(), &forward); });
  if (!trained) return;
  const FcddConvWeightGrad weight{p, x, y, b.reals(weights), b.reals(p.filters), workspace(FCDD_WEIGHT_GRAD)};
  place.time(b, "weight gradient", flops, bytes, [&] { return t.conv_weight_grad(b.handle(), &weight); });
  if (!input_grad) return;
  const FcddConvInputGrad input{p, y, packed(FCDD_INPUT_GRAD), x, workspace(FCDD_INPUT_GRAD)};
  place.time(b, "input gradient", flops, bytes, [&] { return t.conv_input_grad(b.handle(), &input); });
}

int64_t pooled(const FcddPostProblem& p) {
  if (p.pool.kernel == 0) return int64_t{p.batch} * p.height * p.width * p.channels;
  return int64_t{p.batch} * p.channels *
         fcdd_out_extent(p.height, p.pool.kernel, p.pool.stride, p.pool.padding) *
         fcdd_out_extent(p.width, p.pool.kernel, p.pool.stride, p.pool.padding);
}

void bench_post(const Place& place, const FcddPostProblem& p, bool trained) {
  Buffers b(open_verified(place.options.device, place.precision));
  const FcddDeviceTable& t = b.table();
  const int64_t in = int64_t{p.batch} * p.height * p.width * p.channels, out = pooled(p);
  const double result = real_bytes(out) + (p.pool.kernel > 0 ? static_cast<double>(out) : 0);
  const auto some = [&] { return b.random(p.channels); };
  if (p.norm == FCDD_NORM_BATCH) {
    const FcddBuffer sums = b.filled(int64_t{p.batch} * 2 * p.channels * 8, 0);
    const FcddNormStats stats{p, sums, some(), some(), some(), some()};
    place.time(b, "norm stats", 0, static_cast<double>(sums.bytes),
               [&] { return t.norm_stats(b.handle(), &stats); });
  }
  FcddPostForward f{};
  f.p = p, f.x = b.random(in), f.y = b.reals(out);
  if (p.norm != FCDD_NORM_NONE) f.mean = some(), f.inv_std = some(), f.gamma = some(), f.beta = some();
  if (p.pool.kernel > 0) f.argmax = b.room(static_cast<uint64_t>(out));
  place.time(b, "post", 0, real_bytes(in) + result, [&] { return t.post_forward(b.handle(), &f); });
  if (!trained) return;
  FcddPostBackward g{};
  g.p = p, g.dy = b.random(out), g.x = f.x, g.mean = f.mean, g.inv_std = f.inv_std, g.gamma = f.gamma;
  g.beta = f.beta, g.argmax = f.argmax, g.dx = b.reals(in);
  if (p.norm != FCDD_NORM_NONE) g.dgamma = b.reals(p.channels), g.dbeta = b.reals(p.channels);
  g.workspace = b.room(t.post_workspace_bytes(b.handle(), &p));
  const double passes = p.norm == FCDD_NORM_NONE ? 1 : 2;  // the sums must be known before the first value
  place.time(b, "post backward", 0, passes * (real_bytes(in) + result) + real_bytes(in),
             [&] { return t.post_backward(b.handle(), &g); });
}

// Loss, scores with maps, and the optimisers; their sizes come from the whole network.
void bench_ends(const Place& place, Shape out, const ReceptiveField& field) {
  Buffers b(open_verified(place.options.device, place.precision));
  const FcddDeviceTable& t = b.table();
  const InputShape in = place.network.input;
  const FcddUpsampleProblem up{place.batch, out.height,   out.width,  in.height,
                               in.width,    field.extent, field.jump, static_cast<int32_t>(field.start)};
  const std::vector<double> wide = gaussian_taps(field.extent, default_sigma(field.extent));
  const std::vector<float> narrow(wide.begin(), wide.end());
  const FcddBuffer taps = b.reals(field.extent);
  b.check(t.upload(b.handle(), taps, narrow.data()));
  const int64_t low = int64_t{place.batch} * out.height * out.width;
  const int64_t high = int64_t{place.batch} * in.height * in.width;
  const FcddBuffer workspace = b.room(t.upsample_workspace_bytes(b.handle(), &up));
  FcddLoss loss{};
  loss.batch = place.batch, loss.height = out.height, loss.width = out.width, loss.up = up, loss.taps = taps;
  loss.z = b.random(low), loss.labels = b.filled(place.batch, 1), loss.masks = b.filled(high, 1);
  loss.losses = b.doubles(place.batch), loss.dz = b.reals(low), loss.report = b.filled(40, 0);
  loss.workspace = workspace;
  place.time(b, "loss", 0, 2 * real_bytes(low), [&] { return t.loss(b.handle(), &loss); });
  loss.pixelwise = 1;
  place.time(b, "loss, pixels", 0, 2 * real_bytes(low) + static_cast<double>(high),
             [&] { return t.loss(b.handle(), &loss); });
  FcddScore score{place.batch,  out.height,    out.width, up, taps, loss.z, b.doubles(place.batch),
                  b.reals(low), b.reals(high), workspace};
  place.time(b, "scores, maps", 0, real_bytes(2 * low + high), [&] { return t.score(b.handle(), &score); });

  Network network(b.device, place.network.layers, in);
  int64_t count = 0;
  for (const TensorInfo& tensor : network.tensors()) {
    int64_t values = tensor.trainable ? 1 : 0;
    for (const int64_t extent : tensor.shape) values *= extent;
    count += values;
  }
  const FcddBuffer w = b.random(count), grad = b.random(count), m = b.filled(count * 4, 0),
                   v = b.filled(count * 4, 0);
  FcddUpdate update{FCDD_SGD, static_cast<uint64_t>(count), 2, 1e-4, 1e-4, 0.9, 0.9, 0.999, 1e-8, w, grad, m,
                    v};
  place.time(b, "SGD", 0, real_bytes(5 * count), [&] { return t.update(b.handle(), &update); });
  update.kind = FCDD_ADAM;
  place.time(b, "Adam", 0, real_bytes(7 * count), [&] { return t.update(b.handle(), &update); });
}

// The post step that begins at layer `first`: any of normalisation, activation and pool, in this order.
FcddPostProblem post_from(const std::vector<Layer>& layers, size_t& first, int batch, Shape in) {
  FcddPostProblem p{batch, in.height, in.width, in.channels, FCDD_NORM_NONE, FCDD_ACT_NONE, 0, 1e-5, 0.1, {}};
  if (first < layers.size() && layers[first].kind == LayerKind::BatchNorm) {
    p.norm = FCDD_NORM_BATCH, p.eps = layers[first].eps, first++;
  }
  if (first < layers.size() && layers[first].kind == LayerKind::Activation) {
    p.activation = FCDD_ACT_LEAKY, p.slope = layers[first].slope, first++;
  }
  if (first < layers.size() && layers[first].kind == LayerKind::MaxPool) {
    p.pool = {layers[first].kernel, layers[first].stride, layers[first].padding}, first++;
  }
  return p;
}

}  // namespace

void bench_ops(const Options& options, const PublishedNetwork& network, int precision, Rows& rows) {
  const std::vector<Layer>& layers = network.layers;
  const std::vector<Shape> shapes = output_shapes(layers, network.input);
  const int most = options.reduced ? 1 : network.batch;
  const auto timed = [&](const std::string& layer, const std::function<void(const Place&)>& body) {
    with_fitting_batch(network.name + ", " + layer, most, rows, [&](int batch) {
      body({options, network, layer, precision, batch, rows});
    });
  };
  Shape in{network.input.channels, network.input.height, network.input.width};
  bool below_trained = false;  // a trained layer lies before this one: it wants this one's input gradient
  for (size_t i = 0; i < layers.size();) {
    const Layer& conv = layers[i];
    const bool trained = !conv.frozen;
    const bool sums = i + 1 < layers.size() && layers[i + 1].kind == LayerKind::BatchNorm;
    timed(conv.name, [&](const Place& place) {
      bench_conv(place,
                 {place.batch, in.height, in.width, in.channels, conv.filters, conv.kernel, conv.stride,
                  conv.padding},
                 sums, trained, below_trained);
    });
    below_trained = below_trained || trained;
    const Shape out = shapes[i++];
    const size_t post = i;
    post_from(layers, i, 1, out);
    // What precedes the convolutions does not depend on their precision.
    if (i > post && precision == options.precisions.front()) {
      timed(conv.name, [&](const Place& place) {
        size_t from = post;
        bench_post(place, post_from(layers, from, place.batch, out), trained);
      });
    }
    in = shapes[i - 1];
  }
  if (precision != options.precisions.front()) return;
  timed("ends", [&](const Place& place) { bench_ends(place, in, receptive_field(layers, network.input)); });
}

void bench_pipeline(const Options& options, const PublishedNetwork& network, Rows& rows) {
  AugmentCase c;
  c.settings.pipeline = network.augmented;
  c.settings.supervision = {FCDD_MALFORMED, FCDD_CONFETTI, 0, 0, 0.5, 0};
  c.settings.batch = options.reduced ? 2 : network.batch;
  c.images =
      pictures(network.input.channels, options.reduced ? 2 : 16, network.stored_height, network.stored_width);
  AugmentRun run(c, {options.device, "", 0});
  uint32_t epoch = 0;
  const auto step = [&] { run.step(epoch++); };
  const double ms = median_ms(run.device(), step, options.reduced ? 0 : 5, options.reduced ? 1 : 5);
  const auto& p = network.augmented;
  const double values = double{1} * c.settings.batch * p.height * p.width * p.channels;
  rows.step(network.name, "input", "augment", options.precisions.front(), c.settings.batch, ms, 0,
            5 * values);
}

}  // namespace fcdd::test
