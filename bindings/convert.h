// JavaScript options -> the engine's structs. Every default of an optional property is here and nowhere else;
// names are those of src/engine/types.ts, errors are those of fields.h. The wrappers of stores and networks
// are resolved by their own files.
#pragma once

#include <string>
#include <vector>

#include "fcdd/augment.h"
#include "fcdd/network.h"
#include "fields.h"

namespace fcdd::bindings {

std::vector<Layer> read_layers(const Napi::Value& value, const std::string& path);
InputShape read_input(const Napi::Value& value, const std::string& path);
FcddPipeline read_pipeline(const Napi::Value& value, const std::string& path);
FcddSupervision read_supervision(const Napi::Value& value, const std::string& path);
OptimiserOptions read_optimiser(Fields options);
InferOptions read_infer_options(Fields& options);  // sigma, low, maps, method …
// Fields batch, objective, optimiser, seed, repeat, keepActivations, pipeline, supervision; not the stores.
TrainerOptions read_trainer_options(Fields& options);
// count, pixels, labels, masks; sizes are checked against the network's input.
Batch read_batch(const Napi::Value& value, const std::string& path, InputShape input, bool pixelwise,
                 int32_t objective);

// Throws unless `values` has `expected` elements; `shape` explains them: "count × height × width × channels".
void require_count(size_t count, size_t expected, const std::string& shape, const std::string& argument);

}  // namespace fcdd::bindings
