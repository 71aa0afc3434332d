// What a trainer can be asked for afterwards: gradients and activations of its last step, and the optimiser's
// state, by the names of tensors, in double whatever the device's type.
#include "engine/trainer_impl.h"

namespace fcdd {
namespace {

struct Moment {
  const char* prefix;
  const Slot* slot;
};

std::vector<Moment> moments(const Trainer::Impl& impl) {
  const TrainingPlan& plan = impl.run.plan();
  if (impl.options.optimiser.kind == FCDD_SGD) return {{"momentum/", &plan.m}};
  return {{"exp_avg/", &plan.m}, {"exp_avg_sq/", &plan.v}};
}

// Calls visit(index, name, number of values) for every trainable tensor.
template <class Visit>
void for_each_trainable(const Network::Impl& network, Visit visit) {
  for (size_t i = 0; i < network.tensors.infos.size(); i++) {
    const int index = static_cast<int>(i);
    if (network.tensors.infos[i].trainable)
      visit(index, network.tensors.infos[i].name, network.elements(index));
  }
}

}  // namespace

std::map<std::string, std::vector<double>> Trainer::last_gradients() const {
  std::map<std::string, std::vector<double>> result;
  for_each_trainable(impl_->network, [&](int index, const std::string& name, uint64_t count) {
    result[name] =
        download_real<double>(impl_->device, impl_->run.part(impl_->run.plan().gradient, index), count);
  });
  return result;
}

std::map<std::string, std::vector<double>> Trainer::last_activations() const {
  std::map<std::string, std::vector<double>> result;
  if (!impl_->run.is_ready()) return result;
  const TrainingPlan& plan = impl_->run.plan();
  for (size_t i = 0; i < plan.values.size(); i++) {
    if (!plan.held[i]) continue;
    const uint64_t count = bytes_of(impl_->last_batch, impl_->network.training.values[i], 1);
    result[impl_->network.training.names[i]] =
        download_real<double>(impl_->device, impl_->run.buffer(plan.values[i]), count);
  }
  return result;
}

std::map<std::string, std::vector<double>> Trainer::state() const {
  std::map<std::string, std::vector<double>> result;
  for (const Moment& moment : moments(*impl_)) {
    for_each_trainable(impl_->network, [&](int index, const std::string& name, uint64_t count) {
      result[moment.prefix + name] =
          download_real<double>(impl_->device, impl_->run.part(*moment.slot, index), count);
    });
  }
  return result;
}

void Trainer::set_state(const std::map<std::string, std::vector<double>>& state, int64_t updates) {
  if (updates < 0) throw Error("FCDD_INVALID_ARGUMENT", "the number of updates must not be negative");
  const auto values_of = [&](const std::string& key, uint64_t count) -> const std::vector<double>& {
    const auto found = state.find(key);
    if (found == state.end()) throw Error("FCDD_INVALID_ARGUMENT", "the optimiser state lacks '" + key + "'");
    if (found->second.size() == count) return found->second;
    throw Error("FCDD_INVALID_ARGUMENT", "the optimiser state '" + key + "' has " + std::to_string(count) +
                                             " values, got " + std::to_string(found->second.size()));
  };
  for (const bool upload : {false, true}) {  // check everything before anything changes
    for (const Moment& moment : moments(*impl_)) {
      for_each_trainable(impl_->network, [&](int index, const std::string& name, uint64_t count) {
        const std::vector<double>& values = values_of(moment.prefix + name, count);
        if (upload)
          upload_real(impl_->device, impl_->run.part(*moment.slot, index), values.data(), values.size());
      });
    }
  }
  impl_->updates = updates;
}

}  // namespace fcdd
