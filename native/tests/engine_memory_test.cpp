// The memory planner: nothing that is alive at the same time overlaps, and reuse really happens.
#include <random>

#include "check.h"
#include "engine/memory.h"
#include "engine/network_impl.h"
#include "engine/training_plan.h"
#include "engine_networks.h"
#include "test_seed.h"

namespace fcdd::test {
namespace {

struct Request {
  uint64_t bytes;
  int first, last;
};

std::vector<Request> random_requests(std::mt19937& random) {
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  std::vector<Request> requests(static_cast<size_t>(draw(1, 60)));
  for (Request& r : requests) {
    const int first = draw(0, 30);
    r = {static_cast<uint64_t>(draw(0, 5) == 0 ? 0 : draw(1, 5000)), first, first + draw(0, 12)};
  }
  return requests;
}

}  // namespace

TEST(engine_memory_never_overlaps) {
  std::mt19937 random(test_seed(1));
  for (int round = 0; round < 500; round++) {
    const std::vector<Request> requests = random_requests(random);
    std::vector<Slot> slots(requests.size());
    MemoryPlanner planner;
    for (size_t i = 0; i < requests.size(); i++) {
      planner.add(slots[i], requests[i].bytes, requests[i].first, requests[i].last);
    }
    const uint64_t total = planner.place();
    uint64_t sum = 0;
    for (size_t i = 0; i < requests.size(); i++) {
      CHECK(slots[i].bytes == requests[i].bytes);
      CHECK(slots[i].offset % 64 == 0 && slots[i].offset + slots[i].bytes <= total);
      sum += aligned(slots[i].bytes);
      for (size_t j = 0; j < i; j++) {
        const bool together = requests[i].first <= requests[j].last && requests[j].first <= requests[i].last;
        const bool overlap = slots[i].offset < slots[j].offset + slots[j].bytes &&
                             slots[j].offset < slots[i].offset + slots[i].bytes;
        CHECK(!(together && overlap && slots[i].bytes > 0 && slots[j].bytes > 0));
      }
    }
    CHECK(total <= sum);
  }
}

TEST(engine_memory_is_shared_by_strangers) {
  Slot a, b, c;
  MemoryPlanner planner;
  planner.add(a, 1000, 0, 1);
  planner.add(b, 900, 1, 2);
  planner.add(c, 1000, 2, 3);
  CHECK(planner.place() == 1024 + 960);
  CHECK(a.offset == c.offset);
}

// What is promised before anything is reserved is what a trainer reserves.
TEST(engine_memory_is_known_before) {
  for (const bool adam : {false, true}) {
    for (const bool pixelwise : {false, true}) {
      Network network(open_device(), mixed_network(), {2, 11, 9});
      TrainerOptions options{.batch = 6, .pixelwise = pixelwise};
      options.optimiser.kind = adam ? FCDD_ADAM : FCDD_SGD;
      const Trainer trainer(network, options);
      CHECK(trainer.reserved_bytes() == network.training_bytes(6, adam, pixelwise));
    }
  }
}

// A frozen prefix keeps no activations for a backward pass.
TEST(engine_memory_of_a_frozen_prefix) {
  const InputShape input{3, 64, 64};
  const Network whole(open_device(), architecture("vgg11", 16), input);
  const Network frozen(open_device(), freeze(architecture("vgg11", 16), 16), input);
  CHECK(static_cast<double>(frozen.training_bytes(16, false, false)) <
        0.6 * static_cast<double>(whole.training_bytes(16, false, false)));
}

// Large plans compute post steps again rather than keep their outputs.
TEST(engine_memory_recomputes_where_plans_are_large) {
  Network network(open_device("cpu"), architecture("cnn224"), {3, 224, 224});
  const auto bytes = [&](int batch, std::optional<bool> recompute) {
    return plan_training(network.impl(), {.batch = batch, .recompute = recompute}).bytes();
  };
  CHECK(bytes(128, {}) == bytes(128, true) && bytes(4, {}) == bytes(4, false));
  CHECK(static_cast<double>(bytes(128, true)) < 0.75 * static_cast<double>(bytes(128, false)));
}

// A cheap first convolution runs again rather than keep its output; one behind a frozen prefix does not.
TEST(engine_memory_recomputes_a_first_convolution) {
  Network network(open_device("cpu"), architecture("vgg11"), {3, 224, 224});
  const auto plan = [](Network& of, bool recompute) {
    return plan_training(of.impl(), {.batch = 32, .recompute = recompute});
  };
  CHECK(plan(network, true).again[1].bytes > 0 && plan(network, false).again[1].bytes == 0);
  CHECK(static_cast<double>(plan(network, true).bytes()) <
        0.65 * static_cast<double>(plan(network, false).bytes()));
  Network frozen(open_device("cpu"), freeze(architecture("vgg11"), 3), {3, 224, 224});
  CHECK(plan(frozen, true).again[1].bytes == 0);
}

TEST(engine_memory_beyond_any_machine_is_an_error) {
  const Network network(open_device(), architecture("vgg11"), {3, 224, 224});
  try {
    network.training_bytes(INT32_MAX, false, false);
    fail(__FILE__, __LINE__, "no error");
  } catch (const Error& error) {
    CHECK(error.code == "FCDD_OUT_OF_MEMORY");
  }
}

}  // namespace fcdd::test
