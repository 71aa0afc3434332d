// Loss, score, upsampling and the optimisers on the cuda device against `reference`.
#include <cmath>
#include <limits>

#include "check.h"
#include "cuda_harness.h"
#include "step_cases.h"

namespace fcdd::test {
namespace {

void check_step(const std::string& label, const BenchCase& body) {
  check_cuda_case(label, body, Operands::float32_only);
}

Outputs on_cuda(const BenchCase& body) {
  Bench b(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_FLOAT32));
  return body(b);
}

std::string name_of(const FcddUpsampleProblem& p) {
  return std::to_string(p.batch) + "x" + std::to_string(p.in_height) + "x" + std::to_string(p.in_width) +
         " to " + std::to_string(p.height) + "x" + std::to_string(p.width) + ", taps " +
         std::to_string(p.taps) + ", jump " + std::to_string(p.jump) + ", shift " + std::to_string(p.shift);
}

// Maps wider and higher than the threads of a block, kernels that reach everything, little, or nothing at
// all.
std::vector<FcddUpsampleProblem> shapes_of(int batch) {
  return {
      {batch, 1, 1, 1, 1, 1, 1, 0},     {batch, 3, 5, 24, 300, 9, 60, 2}, {batch, 20, 2, 150, 13, 12, 7, 3},
      {batch, 4, 4, 16, 16, 400, 4, 1}, {batch, 5, 3, 40, 24, 3, 8, 0},   {batch, 3, 4, 12, 17, 5, 4, 90},
      {batch, 3, 4, 12, 17, 5, 4, -90}, {batch, 6, 6, 20, 20, 6, 4, 1},   {batch, 2, 280, 5, 281, 2, 1, 0}};
}

// The values of image n alone.
template <class T>
std::vector<T> image_of(const std::vector<T>& all, int64_t images, int64_t n) {
  const int64_t size = static_cast<int64_t>(all.size()) / images;
  return {all.begin() + n * size, all.begin() + (n + 1) * size};
}

}  // namespace

TEST(cuda_upsample_and_adjoint) {
  std::mt19937 random(test_seed(51));
  std::vector<FcddUpsampleProblem> problems = shapes_of(2);
  for (int i = 0; i < 10; i++) problems.push_back(random_upsampling(random, uniform(random, 1, 4)));
  for (const FcddUpsampleProblem& p : problems) {
    const std::vector<double> low = normal_values(random, low_size(p)),
                              full = normal_values(random, full_size(p));
    check_step("upsample " + name_of(p), [&](Bench& b) { return upsample_and_adjoint(b, p, low, full); });
  }
}

TEST(cuda_loss) {
  std::mt19937 random(test_seed(52));
  std::vector<FcddUpsampleProblem> problems = shapes_of(3);
  for (int i = 0; i < 10; i++) problems.push_back(random_upsampling(random, uniform(random, 1, 6)));
  for (const FcddUpsampleProblem& p : problems) {
    for (const bool pixelwise : {false, true}) {
      const LossData d = random_loss(random, p, pixelwise);
      check_step((pixelwise ? "pixel-wise loss " : "sample-wise loss ") + name_of(p),
                 [&](Bench& b) { return loss_and_gradient(b, d); });
    }
  }
}

// Batches of one label, of one sample, and of more samples than a block has threads; masks that are all 1; a
// map of zeros, where the log term has its floor.
TEST(cuda_loss_at_its_edges) {
  std::mt19937 random(test_seed(53));
  for (const bool pixelwise : {false, true}) {
    for (const uint8_t label : {0, 1}) {
      LossData d = random_loss(random, {4, 3, 3, 9, 9, 5, 3, 1}, pixelwise);
      d.labels.assign(4, label);
      d.masks.assign(4 * 81, label);
      check_step("one label", [&](Bench& b) { return loss_and_gradient(b, d); });
      d.z.assign(4 * 9, 0);
      check_step("zeros", [&](Bench& b) { return loss_and_gradient(b, d); });
      LossData one = random_loss(random, {1, 17, 19, 17, 19, 3, 1, 0}, pixelwise);
      one.labels[0] = label;
      check_step("one sample", [&](Bench& b) { return loss_and_gradient(b, one); });
    }
  }
  const LossData many = random_loss(random, {300, 1, 2, 2, 2, 1, 1, 0}, false);
  check_step("300 samples", [&](Bench& b) { return loss_and_gradient(b, many); });
}

// More tiles of a map than a block has threads.
TEST(cuda_loss_of_a_large_map) {
  std::mt19937 random(test_seed(54));
  const LossData d = random_loss(random, {1, 2, 2, 2060, 130, 40, 64, 0}, true);
  check_step("large map", [&](Bench& b) { return loss_and_gradient(b, d); });
}

// A sample's loss has the same bits whatever else is in the batch; the gradient is that of the mean.
TEST(cuda_loss_of_a_sample_alone) {
  std::mt19937 random(test_seed(55));
  for (const bool pixelwise : {false, true}) {
    const LossData all = random_loss(random, {4, 5, 6, 21, 25, 9, 4, 1}, pixelwise);
    const Outputs together = on_cuda([&](Bench& b) { return loss_and_gradient(b, all); });
    for (int n = 0; n < 4; n++) {
      LossData one{all.up, pixelwise, image_of(all.z, 4, n), image_of(all.labels, 4, n),
                   image_of(all.masks, 4, n)};
      one.up.batch = 1;
      const Outputs alone = on_cuda([&](Bench& b) { return loss_and_gradient(b, one); });
      CHECK(same_bits({{"loss", image_of(together[0].values, 4, n)}}, {{"loss", alone[0].values}}));
      std::vector<double> gradient = image_of(together[1].values, 4, n);
      for (double& v : gradient) v *= 4;
      CHECK_LESS(relative_l2(gradient, alone[1].values), 1e-6);
    }
  }
}

TEST(cuda_loss_without_gradient_and_report) {
  std::mt19937 random(test_seed(56));
  const LossData d = random_loss(random, {3, 4, 5, 16, 20, 9, 4, 1}, false);
  for (const bool pixelwise : {false, true}) {
    check_step("loss alone", [&](Bench& b) {
      FcddLoss l{};
      l.batch = 3, l.height = 4, l.width = 5, l.pixelwise = pixelwise, l.up = d.up;
      l.taps = b.real(bell(9)), l.z = b.real(d.z), l.labels = b.bytes(d.labels), l.masks = b.bytes(d.masks);
      l.losses = b.doubles_out(3);
      l.workspace = b.scratch(b.table->upsample_workspace_bytes(b.device, &d.up));
      b.run(b.table->loss(b.device, &l));
      return Outputs{{"losses", b.read_doubles(l.losses)}};
    });
  }
}

TEST(cuda_score) {
  std::mt19937 random(test_seed(57));
  std::vector<FcddUpsampleProblem> problems = shapes_of(2);
  for (int i = 0; i < 4; i++) problems.push_back(random_upsampling(random, uniform(random, 1, 5)));
  for (const FcddUpsampleProblem& p : problems) {
    const std::vector<double> z = normal_values(random, low_size(p));
    const bool low = uniform(random, 0, 2) > 0, maps = uniform(random, 0, 2) > 0;  // or neither
    check_step("score " + name_of(p), [&](Bench& b) { return scores_and_maps(b, p, z, low, maps); });
  }
}

// Scores and maps of an image have the same bits whatever else is in the batch.
TEST(cuda_score_of_an_image_alone) {
  std::mt19937 random(test_seed(58));
  for (int i = 0; i < 3; i++) {
    FcddUpsampleProblem p = random_upsampling(random, 4);
    const std::vector<double> z = normal_values(random, low_size(p));
    const Outputs together = on_cuda([&](Bench& b) { return scores_and_maps(b, p, z); });
    p.batch = 1;
    for (int n = 0; n < 4; n++) {
      const Outputs alone = on_cuda([&](Bench& b) { return scores_and_maps(b, p, image_of(z, 4, n)); });
      for (size_t o = 0; o < alone.size(); o++) {
        CHECK(same_bits({{"", image_of(together[o].values, 4, n)}}, {{"", alone[o].values}}));
      }
    }
  }
}

// Counts around a thread's four values and a block's thousand.
TEST(cuda_update) {
  std::mt19937 random(test_seed(59));
  for (const int count : {1, 3, 4, 5, 1023, 1024, 2051}) {
    const auto w = normal_values(random, count);
    std::vector<std::vector<double>> gradients;
    for (int i = 0; i < 3; i++) gradients.push_back(normal_values(random, count));
    for (const int kind : {FCDD_SGD, FCDD_ADAM}) {
      check_step((kind == FCDD_SGD ? "sgd of " : "adam of ") + std::to_string(count),
                 [&](Bench& b) { return three_updates(b, kind, w, gradients); });
    }
  }
}

// SGD's first step does not read the momentum; parameters may begin anywhere.
TEST(cuda_first_update) {
  std::mt19937 random(test_seed(60));
  const auto w = normal_values(random, 1031), grad = normal_values(random, 1031);
  for (const uint64_t skipped : {0, 1}) {
    check_step("first sgd", [&](Bench& b) {
      FcddUpdate a{};
      a.kind = FCDD_SGD, a.count = w.size() - skipped, a.step = 1, a.lr = 0.1, a.momentum = 0.9;
      a.w = b.real(w), a.grad = b.real(grad), a.m = b.real_out(static_cast<int64_t>(a.count));
      const uint64_t begin = skipped * (a.w.bytes / w.size());
      a.w.offset += begin, a.w.bytes -= begin;
      b.run(b.table->update(b.device, &a));
      return Outputs{{"w", b.read_real(a.w)}, {"m", b.read_real(a.m)}};
    });
  }
}

TEST(cuda_update_of_nothing) {
  Bench b(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_FLOAT32));
  FcddUpdate a{};
  a.kind = FCDD_ADAM, a.step = 1;
  b.run(b.table->update(b.device, &a));
}

TEST(cuda_steps_refuse) {
  Bench b(fcdd_cuda_table(), cuda_options(FCDD_PRECISION_FLOAT32));
  const auto refused = [&](FcddStatus status, const char* why) {
    return status == FCDD_INVALID &&
           std::string(b.table->last_error(b.device)).find(why) != std::string::npos;
  };
  FcddUpdate update{};
  update.count = 4;
  CHECK(refused(b.table->update(b.device, &update), "steps count from 1"));
  update.step = 1, update.kind = 2;
  CHECK(refused(b.table->update(b.device, &update), "unknown optimiser"));
  update.kind = FCDD_ADAM, update.w = update.grad = update.m = b.real_out(4);
  CHECK(refused(b.table->update(b.device, &update), "v is missing"));

  FcddUpsample up{};
  up.p = {1, 2, 2, 4, 4, 0, 2, 0};
  CHECK(refused(b.table->upsample(b.device, &up), "positive taps and jump"));
  up.p.taps = 3, up.p.jump = 1 << 30;
  CHECK(refused(b.table->upsample(b.device, &up), "below 2^22"));
  up.p.jump = 2;
  CHECK(refused(b.table->upsample(b.device, &up), "taps is missing"));

  FcddLoss loss{};
  CHECK(refused(b.table->loss(b.device, &loss), "positive extents"));
  loss.batch = 1, loss.height = loss.width = 3, loss.pixelwise = 1, loss.up = up.p;
  loss.z = b.real_out(9), loss.labels = b.bytes_out(1), loss.losses = b.doubles_out(1);
  CHECK(refused(b.table->loss(b.device, &loss), "input is not the map"));
  FcddScore score{};
  score.batch = 1, score.height = score.width = 3, score.up = up.p;
  score.z = loss.z, score.scores = loss.losses, score.maps = b.real_out(16);
  CHECK(refused(b.table->score(b.device, &score), "input is not the map"));
}

}  // namespace fcdd::test
