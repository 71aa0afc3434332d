# shellcheck shell=bash disable=SC2034,SC2154,SC1007
# What gpu-verify finds on this machine. Sourced by scripts/gpu-verify.

# First of its arguments that can be run, by name or path; fails when none can.
first_command() {
  local candidate
  for candidate in "$@"; do
    command -v "$candidate" 2>/dev/null && return 0
  done
  return 1
}

describe_commit() {
  commit=${FCDD_COMMIT:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
  changed=null
  if git rev-parse HEAD >/dev/null 2>&1; then
    changed=false
    [ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || changed=true
  fi
}

# Sets cmake, generator, python (empty without PyTorch), node (may be empty). Says what is missing and fails.
describe_tools() {
  local missing=0
  cmake=$(first_command cmake) || { echo 'gpu-verify: CMake was not found' >&2; missing=1; }
  first_command "${CXX:-c++}" g++ >/dev/null || { echo 'gpu-verify: no C++ compiler (g++) was found' >&2; missing=1; }
  generator='Unix Makefiles'
  if first_command ninja >/dev/null; then
    generator=Ninja
  elif ! first_command make >/dev/null; then
    echo 'gpu-verify: neither ninja nor make was found' >&2
    missing=1
  fi
  python=
  local candidate
  for candidate in "${PYTHON:-}" python3 python /usr/bin/python3; do
    if [ -n "$candidate" ] && "$candidate" -c 'import torch' >/dev/null 2>&1; then
      python=$candidate
      break
    fi
  done
  if ! node=$(first_command node "$root/.gpu/bin/node"); then
    [ -e .gpu/bundle.tar.xz ] && tar -xJf .gpu/bundle.tar.xz
    node=$(first_command "$root/.gpu/bin/node") || node=
  fi
  jobs=$(nproc 2>/dev/null || echo 4)
  describe_commit
  return $missing
}

# A field of the first GPU that CUDA would use.
gpu_field() {
  nvidia-smi --query-gpu="$1" --format=csv,noheader,nounits -i "${CUDA_VISIBLE_DEVICES:-0}" 2>/dev/null | head -n 1
}

# Sets gpu_name, driver, cuda_version, capability (9.0), architecture (90a), precisions, memory_mib, nvcc, sanitizer.
describe_gpu() {
  local missing=0
  describe_tools || missing=1
  nvcc=$(first_command "${CUDACXX:-nvcc}" "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" /usr/local/cuda/bin/nvcc) ||
    { echo 'gpu-verify: nvcc (the compiler of the CUDA toolkit, 12 or 13) was not found: put it into PATH or name it in CUDACXX' >&2; missing=1; }
  if ! first_command nvidia-smi >/dev/null; then
    echo "gpu-verify: no NVIDIA driver: nvidia-smi was not found" >&2
    missing=1
  elif ! gpu_name=$(gpu_field name) || [ -z "$gpu_name" ]; then
    echo "gpu-verify: no GPU: nvidia-smi says: $(nvidia-smi 2>&1 | head -n 1)" >&2
    missing=1
  fi
  if [ "$missing" = 1 ]; then
    echo 'gpu-verify: nothing was verified (without a GPU: scripts/gpu-verify --emulated)' >&2
    return 1
  fi
  device=cuda reduced=()
  driver=$(gpu_field driver_version) memory_mib=$(gpu_field memory.total) capability=$(gpu_field compute_cap)
  cuda_version=$("$nvcc" --version | sed -nE 's/.*release ([0-9.]+).*/\1/p')
  architecture=${capability/./}
  # Hopper's own instructions need the architecture by its full name.
  [ "$architecture" = 90 ] && architecture=90a
  precisions=float32,tf32,bf16
  [ "${capability%.*}" -ge 8 ] || precisions=float32
  sanitizer=$(first_command compute-sanitizer "$(dirname "$nvcc")/compute-sanitizer") || sanitizer=
}

describe_emulation() {
  describe_tools || return 1
  device=cuda-emulated gpu_name=cuda-emulated driver=none memory_mib= capability= architecture= cuda_version=none
  precisions=float32,tf32,bf16 nvcc= sanitizer= reduced=(--reduced)
}
