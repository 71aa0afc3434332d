// Receptive fields and upsampling of the paper's architectures, and what a wrong layer list is told.
#include <algorithm>

#include "check.h"
#include "cpu_harness.h"
#include "engine_networks.h"

namespace fcdd::test {
namespace {

struct Field {
  const char* name;
  int input, output, jump, extent;
  double start;
};

// Computed by hand from the layer tables of the reference code `liznerski/fcdd`.
const Field kFields[] = {
    {"cnn28", 28, 7, 4, 16, 1.5},      {"cnn32", 32, 8, 4, 32, 1.5},  {"cnn32-s", 32, 8, 4, 18, 1.5},
    {"cnn32-lw3k", 32, 8, 4, 22, 1.5}, {"cnn224", 224, 28, 8, 59, 0}, {"vgg11", 224, 28, 8, 62, 3.5},
};

// Values of the upsampled all-ones map away from the border, where every tap has a source.
std::pair<double, double> interior_range(const Field& field, double sigma) {
  const InputShape input{3, field.input, field.input};
  const auto layers = architecture(field.name, 8);
  const ReceptiveField rf = receptive_field(layers, input);
  const FcddUpsampleProblem p{1,           rf.height, rf.width, input.height,
                              input.width, rf.extent, rf.jump,  static_cast<int32_t>(rf.start)};
  Bench bench(fcdd_reference_table(), nullptr, 1);
  const std::vector<double> ones(static_cast<size_t>(rf.height) * rf.width, 1.0);
  const FcddUpsample a{p,
                       0,
                       bench.real(gaussian_taps(rf.extent, sigma)),
                       bench.real(ones),
                       bench.real_out(int64_t{p.height} * p.width),
                       {}};
  bench.run(bench.table->upsample(bench.device, &a));
  const std::vector<double> map = bench.read_real(a.y);
  double low = INFINITY, high = -INFINITY;
  const int margin = std::min(rf.extent / 2 + rf.jump, input.height / 2 - rf.jump);
  for (int y = margin; y < input.height - margin; y++) {
    for (int x = margin; x < input.width - margin; x++) {
      low = std::min(low, map[static_cast<size_t>(y) * input.width + x]);
      high = std::max(high, map[static_cast<size_t>(y) * input.width + x]);
    }
  }
  return {low, high};
}

void check_range(const Field& field, double sigma, double low, double high, double rounding) {
  const auto [from, to] = interior_range(field, sigma);
  CHECK_LESS(std::abs(from - low), rounding);
  CHECK_LESS(std::abs(to - high), rounding);
}

// The error's text when a network of these layers is made; empty when there is none.
std::string refusal(const std::vector<Layer>& layers, InputShape input = {3, 16, 16}) {
  try {
    Network network(open_device(), layers, input);
  } catch (const Error& error) {
    CHECK(error.code == "FCDD_INVALID_ARGUMENT");
    return error.what();
  }
  return "";
}

bool mentions(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  fail(__FILE__, __LINE__, "'" + text + "' does not mention '" + part + "'");
  return false;
}

}  // namespace

TEST(engine_receptive_fields) {
  for (const Field& f : kFields) {
    const ReceptiveField rf = receptive_field(architecture(f.name), {3, f.input, f.input});
    CHECK(rf.height == f.output && rf.width == f.output);
    CHECK(rf.jump == f.jump && rf.extent == f.extent && rf.start == f.start);
  }
}

TEST(engine_receptive_field_of_oblong_input) {
  const ReceptiveField rf = receptive_field(architecture("cnn28"), {1, 28, 40});
  CHECK(rf.height == 7 && rf.width == 10);
}

// The ranges that the reference code's transposed convolution gives for a map of ones.
TEST(engine_upsampling_of_ones) {
  check_range(kFields[5], 12, 3.63, 3.72, 0.006);
  check_range(kFields[5], 8, 1.72, 1.74, 0.006);
  check_range(kFields[0], 1.2, 0.229, 0.274, 0.0006);
  check_range(kFields[1], 1.2, 0.229, 0.274, 0.0006);
  check_range(kFields[4], 12, 13.6, 14.0, 0.06);
}

TEST(engine_gaussian_taps) {
  CHECK(gaussian_taps(1, 2) == std::vector<double>{1});
  const auto odd = gaussian_taps(5, 2), even = gaussian_taps(6, 2);
  CHECK(odd.size() == 5 && odd[2] == 1 && odd[1] == std::exp(-1 / 8.0) && odd[0] == odd[4]);
  CHECK(even.size() == 6 && even[2] == 0.5 && even[3] == 0.5 && even[0] == odd[0] / 2 && even[5] == even[0]);
  CHECK_LESS(std::abs(default_sigma(16) - (std::log10(8.2) + 0.25)), 1e-15);
  CHECK(default_sigma(32) == 10);
}

TEST(engine_shapes_of_layers) {
  const auto shapes = output_shapes(mixed_network(), {2, 11, 9});
  const auto is = [&](size_t i, int c, int h, int w) {
    CHECK(shapes[i].channels == c && shapes[i].height == h && shapes[i].width == w);
  };
  is(0, 3, 11, 9);
  is(3, 3, 6, 5);   // pool(3,2,1)
  is(4, 4, 4, 3);   // conv 3x3 without padding
  is(5, 3, 2, 2);   // stride 2
  is(6, 3, 3, 3);   // pool(2,1,1)
  is(10, 1, 3, 3);  // head
}

TEST(engine_refuses_wrong_layers) {
  const std::vector<Layer> good = architecture("cnn28");
  CHECK(refusal(good).empty());
  mentions(refusal({}), "empty list");
  mentions(refusal({conv("a", 4, 3, 1), conv("a", 1, 1, 0)}),
           "layer 1 (conv 'a') has the name of another layer");
  mentions(refusal({conv("", 4, 3, 1)}), "layer 0 (conv) needs a name");
  mentions(refusal({conv("a", 0, 3, 1)}), "filters, got 0");
  mentions(refusal({conv("a", 4, 3, 1, 3)}), "layer 0 (conv 'a') needs a stride of 1 or 2, got 3");
  mentions(refusal({conv("a", 4, 3, -1)}), "padding");
  mentions(refusal({conv("a", 4, 19, 1)}), "kernel of 19 but its input of 3x16x16");
  mentions(refusal({conv("a", 1 << 20, 4096, 4000)}), "fewer than 2^31 weights");
  mentions(refusal({lrelu(), norm("n")}), "layer 1 (batchnorm 'n') must directly follow a convolution");
  mentions(refusal({conv("a", 4, 3, 1), norm("n", 0)}), "positive eps, got 0");
  mentions(refusal({conv("a", 4, 3, 1), pool(2, 2, 2)}), "padding of at most half");
  mentions(refusal({conv("a", 4, 3, 1), pool(17, 2, 2)}), "window between 1 and 16, got 17");
  mentions(refusal({conv("a", 4, 3, 1), lrelu(NAN)}), "finite slope");
  mentions(refusal(good, {0, 16, 16}), "0 channels");
  mentions(refusal(good, {1, 1 << 20, 16}), "1048576x16");
  std::vector<Layer> gap = good;
  gap[4].frozen = true;
  mentions(refusal(gap), "layer 4 (conv 'conv2') is frozen but layer 0 (conv 'conv1')");
  mentions(refusal({conv("wide", 1 << 20, 1, 0)}, {1, 4096, 4096}), "too large");
}

TEST(engine_refuses_training_without_a_map) {
  const auto fails = [](const std::vector<Layer>& layers, const std::string& part) {
    Network network(open_device(), layers, {3, 8, 8});
    try {
      Trainer trainer(network, {.batch = 2});
      fail(__FILE__, __LINE__, "no error: " + part);
    } catch (const Error& error) {
      mentions(error.what(), part);
    }
  };
  fails({conv("a", 4, 3, 1)}, "must produce one channel");
  fails(freeze(architecture("cnn28"), 7), "all layers of the network are frozen");
}

}  // namespace fcdd::test
