// A network: its layers, its tensors on the device, and access to them by name.
#include "engine/network_impl.h"
#include "engine/shape_steps.h"

namespace fcdd {
namespace {

uint64_t product(const std::vector<int64_t>& shape) {
  uint64_t n = 1;
  for (const int64_t extent : shape) n *= static_cast<uint64_t>(extent);
  return n;
}

bool is_statistic(const TensorTable& tensors, int index) {
  for (const TensorTable::OfLayer& of : tensors.of_layer) {
    if (of.mean == index || of.var == index) return true;
  }
  return false;
}

// Lays out the tensors; see network_impl.h. Returns the size of the arena.
uint64_t lay_out(Network::Impl& impl) {
  const uint64_t real = static_cast<uint64_t>(impl.device->info().real_bytes);
  const int count = static_cast<int>(impl.tensors.infos.size());
  impl.slots.resize(impl.tensors.infos.size());
  uint64_t offset = 0;
  const auto place = [&](int i) {
    impl.slots[i] = {offset, impl.elements(i) * real};
    offset += aligned(impl.slots[i].bytes);
  };
  for (int i = 0; i < count; i++) {
    if (impl.tensors.infos[i].trainable) place(i);
  }
  impl.trainable_bytes = offset;
  for (int i = 0; i < count; i++) {
    if (!impl.tensors.infos[i].trainable && !is_statistic(impl.tensors, i)) place(i);
  }
  impl.statistics.offset = offset;
  for (int i = 0; i < count; i++) {
    if (is_statistic(impl.tensors, i)) place(i);
  }
  impl.statistics.bytes = offset - impl.statistics.offset;
  return offset;
}

}  // namespace

Network::Impl::Impl(std::shared_ptr<Device> device_, std::vector<Layer> layers_, InputShape input_)
    : device(std::move(device_)),
      layers(std::move(layers_)),
      input(input_),
      tensors(tensor_table(layers, input)),
      training(lower(layers, input, Mode::Training)) {
  arena = std::make_unique<Arena>(device, lay_out(*this));
  fill_zero(*device, arena->slice(0, arena->bytes()));
}

uint64_t Network::Impl::elements(int index) const {
  return product(tensors.infos[index].shape);
}

int Network::Impl::index_of(const std::string& name) const {
  for (size_t i = 0; i < tensors.infos.size(); i++) {
    if (tensors.infos[i].name == name) return static_cast<int>(i);
  }
  throw Error("FCDD_INVALID_ARGUMENT", "the network has no tensor '" + name + "'");
}

void Network::Impl::require_output(int32_t objective) const {
  require_steps(*device, training, objective);
  const Shape out = training.values.back();
  const int channels = out.channels;
  const auto require = [&](bool ok, const std::string& what) {
    if (ok) return;
    throw Error("FCDD_INVALID_ARGUMENT", layer_text(layers, layers.size() - 1) + " must produce " + what +
                                             " for the objective " + objective_name(objective) + ": got " +
                                             std::to_string(channels) + "x" + std::to_string(out.height) +
                                             "x" + std::to_string(out.width));
  };
  if (objective == FCDD_OBJECTIVE_AE)
    return require(channels == input.channels && out.height == input.height && out.width == input.width,
                   "the input's channels, height and width");
  if (objective == FCDD_OBJECTIVE_CLASSIFY)
    return require(out.height == 1 && out.width == 1 && channels <= 256,
                   "one value for each of at most 256 classes");
  if (objective != FCDD_OBJECTIVE_FCDD || channels == 1) return;
  throw Error("FCDD_INVALID_ARGUMENT",
              layer_text(layers, layers.size() - 1) +
                  " must produce one channel, the anomaly map, to train or score: got " +
                  std::to_string(channels));
}

Network::Network(std::shared_ptr<Device> device, std::vector<Layer> layers, InputShape input)
    : impl_(std::make_unique<Impl>(std::move(device), std::move(layers), input)) {}

Network::~Network() = default;

const std::vector<Layer>& Network::layers() const {
  return impl_->layers;
}
InputShape Network::input() const {
  return impl_->input;
}
const std::vector<TensorInfo>& Network::tensors() const {
  return impl_->tensors.infos;
}
const std::shared_ptr<Device>& Network::device() const {
  return impl_->device;
}

std::vector<double> Network::get(const std::string& name) const {
  const int index = impl_->index_of(name);
  return download_real<double>(*impl_->device, impl_->tensor(index), impl_->elements(index));
}

void Network::set(const std::string& name, const std::vector<double>& values) {
  const int index = impl_->index_of(name);
  if (values.size() != impl_->elements(index)) {
    throw Error("FCDD_INVALID_ARGUMENT", "tensor '" + name + "' has " +
                                             std::to_string(impl_->elements(index)) + " values, got " +
                                             std::to_string(values.size()));
  }
  upload_real(*impl_->device, impl_->tensor(index), values.data(), values.size());
  impl_->edition++;
  impl_->set_edition++;
}

}  // namespace fcdd
