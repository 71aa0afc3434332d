// The steps of the baselines: cpu against reference on random shapes, and each backward pass against finite
// differences. dropout has no differences to take: it is linear, and its backward pass is its forward pass.
#include <functional>

#include "cpu_harness.h"
#include "gradient_check.h"

namespace fcdd::test {
namespace {

using ShapeFunction = FcddStatus (*)(FcddDevice*, const FcddShapeStep*);

ShapeFunction shape_function(const FcddDeviceTable& table, const std::string& name) {
  if (name == "reshape") return table.reshape;
  if (name == "nearest") return table.nearest;
  return name == "sigmoid" ? table.sigmoid : table.average_pool;
}

int64_t before(const FcddShapeProblem& p) {
  return int64_t{p.in_height} * p.in_width * p.in_channels;
}
int64_t after(const FcddShapeProblem& p) {
  return int64_t{p.height} * p.width * p.channels;
}

// The step on a device of its own: x -> y, or with `backward` dy (and x) -> dx.
std::vector<double> run_shape(Bench& b, const std::string& name, const FcddShapeProblem& p, bool backward,
                              const std::vector<double>& from, const std::vector<double>& x) {
  const FcddBuffer to = b.real_out(p.batch * (backward ? before(p) : after(p)));
  const FcddShapeStep a{p, backward, b.real(from), to, b.real(x)};
  b.run(shape_function(*b.table, name)(b.device, &a));
  return b.read_real(to);
}

FcddShapeProblem random_shape(std::mt19937& random, const std::string& name) {
  const int h = uniform(random, 1, 9), w = uniform(random, 1, 9), c = uniform(random, 1, 20);
  FcddShapeProblem p{uniform(random, 1, 4), h, w, c, h, w, c};
  if (name == "reshape") p = {p.batch, 1, 1, h * w * c, h, w, c};
  if (name == "nearest") p.height = 2 * h, p.width = 2 * w;
  if (name == "average_pool") p.height = uniform(random, 1, 8), p.width = uniform(random, 1, 8);
  return p;
}

const char* const kShapeSteps[] = {"reshape", "nearest", "average_pool", "sigmoid"};

FcddObjectiveLoss sizes(int objective, int batch, int size) {
  FcddObjectiveLoss a{};
  a.objective = objective;
  a.batch = batch;
  a.size = static_cast<uint64_t>(size);
  a.factor = 1.0 / batch;
  return a;
}

struct LossCase {
  FcddObjectiveLoss a;
  std::vector<double> z, target;
  std::vector<uint8_t> labels;
};

LossCase random_loss(std::mt19937& random, int objective) {
  const int batch = uniform(random, 1, 6), size = uniform(random, 2, 70);
  LossCase c{sizes(objective, batch, size), normal_values(random, int64_t{batch} * size, 0.5), {}, {}};
  c.target = normal_values(random, objective == FCDD_OBJECTIVE_DSVDD ? size : int64_t{batch} * size);
  for (int i = 0; i < batch; i++)
    c.labels.push_back(static_cast<uint8_t>(objective == FCDD_OBJECTIVE_CLASSIFY ? (i + 1) % size : i % 2));
  return c;
}

// losses, dz, report.
Outputs run_loss(Bench& b, const LossCase& c) {
  FcddObjectiveLoss a = c.a;
  const int64_t values = static_cast<int64_t>(c.z.size());
  a.z = b.real(c.z);
  a.target = b.real(c.target);
  a.labels = b.bytes(c.labels);
  a.losses = b.doubles_out(a.batch);
  a.dz = b.real_out(values);
  a.report = b.doubles(std::vector<double>(5, 0));
  b.run(b.table->objective_loss(b.device, &a));
  return {
      {"losses", b.read_doubles(a.losses)}, {"dz", b.read_real(a.dz)}, {"report", b.read_doubles(a.report)}};
}

}  // namespace

TEST(baseline_shape_steps_random) {
  std::mt19937 random(test_seed(71));
  for (const std::string name : kShapeSteps) {
    for (int i = 0; i < 8; i++) {
      const FcddShapeProblem p = random_shape(random, name);
      const auto x = normal_values(random, p.batch * before(p)),
                 dy = normal_values(random, p.batch * after(p));
      check_case(name, [&](Bench& b) {
        return Outputs{{"y", run_shape(b, name, p, false, x, {})},
                       {"dx", run_shape(b, name, p, true, dy, x)}};
      });
    }
  }
}

TEST(baseline_shape_steps_gradient) {
  std::mt19937 random(test_seed(72));
  Bench b(fcdd_reference_table(), nullptr, 1);
  for (const std::string name : kShapeSteps) {
    for (int i = 0; i < 3; i++) {
      FcddShapeProblem p = random_shape(random, name);
      p.batch = 2;
      const auto x = normal_values(random, p.batch * before(p)),
                 dy = normal_values(random, p.batch * after(p));
      const Scalar product = [&](const std::vector<double>& v) {
        return dot(dy, run_shape(b, name, p, false, v, {}));
      };
      check_gradient(name, product, x, run_shape(b, name, p, true, dy, x));
    }
  }
}

TEST(baseline_objective_loss_random) {
  std::mt19937 random(test_seed(73));
  for (int objective = FCDD_OBJECTIVE_HSC; objective <= FCDD_OBJECTIVE_CLASSIFY; objective++) {
    for (int i = 0; i < 6; i++) {
      const LossCase c = random_loss(random, objective);
      check_case("objective " + std::to_string(objective), [&](Bench& b) { return run_loss(b, c); });
    }
  }
}

TEST(baseline_objective_loss_gradient) {
  std::mt19937 random(test_seed(74));
  Bench b(fcdd_reference_table(), nullptr, 1);
  for (int objective = FCDD_OBJECTIVE_HSC; objective <= FCDD_OBJECTIVE_CLASSIFY; objective++) {
    LossCase c = random_loss(random, objective);
    const std::vector<double> z = c.z, dz = run_loss(b, c)[1].values;
    const Scalar mean = [&](const std::vector<double>& v) {
      c.z = v;
      double sum = 0;
      const Outputs made = run_loss(b, c);
      for (const double loss : made[0].values) sum += loss;
      return sum / c.a.batch;
    };
    check_gradient("objective " + std::to_string(objective), mean, z, dz);
  }
}

// Close to the centre the plain form of sqrt(|z|^2+1) - 1 has no digits left.
TEST(baseline_hypersphere_small) {
  Bench b(fcdd_reference_table(), nullptr, 1);
  const LossCase c{sizes(FCDD_OBJECTIVE_HSC, 2, 1), {1e-9, 1e-9}, {0}, {0, 1}};
  const auto losses = run_loss(b, c)[0].values;
  CHECK_LESS(std::abs(losses[0] / 5e-19 - 1), 1e-12);
  CHECK_LESS(std::abs(losses[1] / -std::log(5e-19) - 1), 1e-12);
}

TEST(baseline_dropout) {
  std::mt19937 random(test_seed(75));
  const int batch = 3, size = 4000;
  const auto x = normal_values(random, int64_t{batch} * size, 1, 5);
  FcddDropout a{batch, size, 0.3, 2, 77, 4, 10, {}, {}};
  const auto run = [&](Bench& b) {
    a.from = b.real(x);
    a.to = b.real_out(int64_t{batch} * size);
    b.run(b.table->dropout(b.device, &a));
    return b.read_real(a.to);
  };
  check_case("dropout", [&](Bench& b) { return Outputs{{"y", run(b)}}; });
  Bench b(fcdd_reference_table(), nullptr, 1);
  const std::vector<double> y = run(b);
  int dropped = 0;
  for (size_t i = 0; i < y.size(); i++) {
    if (y[i] == 0) {
      dropped++;
    } else {
      CHECK_LESS(std::abs(y[i] - x[i] / 0.7), 1e-12);
    }
  }
  // Five standard deviations of the binomial distribution.
  CHECK_LESS(std::abs(dropped / 12000.0 - 0.3), 5 * std::sqrt(0.3 * 0.7 / 12000));
  // The image at position 11 drops the same whatever is before it, and another layer or epoch drops others.
  a.first = 11;
  const std::vector<double> later = run(b);
  int same = 0;
  for (int i = 0; i < size; i++) same += (later[i] == 0) == (y[size + i] == 0);
  CHECK(same == size);
  for (int change = 0; change < 2; change++) {
    (change == 0 ? a.layer : reinterpret_cast<int32_t&>(a.epoch))++;
    const std::vector<double> other = run(b);
    int equal = 0;
    for (int i = 0; i < size; i++) equal += (other[i] == 0) == (later[i] == 0);
    CHECK(equal < size * 3 / 4);
  }
}

TEST(baseline_channel_map_random) {
  std::mt19937 random(test_seed(76));
  for (int i = 0; i < 6; i++) {
    const int n = uniform(random, 1, 3), h = uniform(random, 1, 9), w = uniform(random, 1, 9),
              c = uniform(random, 1, 3);
    const auto x = normal_values(random, int64_t{n} * h * w * c),
               y = normal_values(random, int64_t{n} * h * w * c);
    check_case("channel map", [&](Bench& b) {
      FcddChannelMap a{n, h, w, c, b.real(x), {}, b.real_out(int64_t{n} * h * w)};
      b.run(b.table->channel_map(b.device, &a));
      const std::vector<double> sum = b.read_real(a.map);
      a.b = b.real(y);
      b.run(b.table->channel_map(b.device, &a));
      return Outputs{{"sum", sum}, {"mean", b.read_real(a.map)}};
    });
  }
}

// Fully connected layers: kernels that cover their input, of any size, and vectors.
TEST(baseline_full_convolution_random) {
  std::mt19937 random(test_seed(77));
  for (int i = 0; i < 10; i++) {
    const int extent = i < 2 ? 1 : uniform(random, 2, 8), n = uniform(random, 1, 20);
    const FcddConvProblem p{n, extent, extent, uniform(random, 1, 40), uniform(random, 1, 70), extent, 1, 0};
    const auto x = normal_values(random, int64_t{n} * extent * extent * p.channels);
    const auto w = normal_values(random, int64_t{p.filters} * p.channels * extent * extent, 0.1);
    const auto bias = normal_values(random, p.filters), dy = normal_values(random, int64_t{n} * p.filters);
    check_case("fully connected " + std::to_string(extent), [&](Bench& b) {
      const FcddDeviceTable& t = *b.table;
      const auto packed = [&](int32_t pass) {
        FcddConvPack a{p, pass, b.real(w), b.scratch(t.conv_packed_bytes(b.device, &p, pass))};
        b.run(t.conv_pack(b.device, &a));
        return a.packed;
      };
      const auto workspace = [&](int32_t pass) {
        return b.scratch(t.conv_workspace_bytes(b.device, &p, pass));
      };
      FcddConvForward f{};
      f.p = p;
      f.x = b.real(x);
      f.packed = packed(FCDD_FORWARD);
      f.y = b.real_out(int64_t{n} * p.filters);
      f.bias = b.real(bias);
      f.sums = b.doubles_out(int64_t{n} * 2 * p.filters);
      f.workspace = workspace(FCDD_FORWARD);
      b.run(t.conv_forward(b.device, &f));
      const FcddConvInputGrad g{p, b.real(dy), packed(FCDD_INPUT_GRAD),
                                b.real_out(static_cast<int64_t>(x.size())), workspace(FCDD_INPUT_GRAD)};
      b.run(t.conv_input_grad(b.device, &g));
      const FcddConvWeightGrad h{p,
                                 f.x,
                                 g.dy,
                                 b.real_out(static_cast<int64_t>(w.size())),
                                 b.real_out(p.filters),
                                 workspace(FCDD_WEIGHT_GRAD)};
      b.run(t.conv_weight_grad(b.device, &h));
      return Outputs{{"y", b.read_real(f.y)},
                     {"sums", b.read_doubles(f.sums)},
                     {"dx", b.read_real(g.dx)},
                     {"dw", b.read_real(h.dw)},
                     {"dbias", b.read_real(h.dbias)}};
    });
  }
}

}  // namespace fcdd::test
