#!/usr/bin/env bash
# Everything CI checks, step by step. Each step counts as one check, the test runners' own counts are added; the last
# line is "N passed, N failed". Run it through .ci/run.
set -uo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0
logs=$(mktemp -d)
data=../shared/data

# step NAME COMMAND…: runs it, prints the end of its output when it fails, adds up "N passed, N failed" lines.
step() {
  local name=$1 log="$logs/$((passed + failed)).log" start=$SECONDS status=ok
  shift
  "$@" >"$log" 2>&1 </dev/null || status=FAILED
  if [ $status = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  printf '%-6s %s (%d s)\n' "$status" "$name" $((SECONDS - start))
  if [ $status != ok ]; then tail -n 80 "$log" | sed 's/^/    /'; fi
  count "$log"
  [ $status = ok ]
}

# Counts of the C++ harness ("12 passed, 0 failed") and of vitest ("Tests  1 failed | 40 passed (41)").
count() {
  local line
  while read -r line; do
    passed=$((passed + $(sed -nE 's/.*[^0-9]([0-9]+) passed.*/\1/p' <<<" $line" | grep . || echo 0)))
    failed=$((failed + $(sed -nE 's/.*[^0-9]([0-9]+) failed.*/\1/p' <<<" $line" | grep . || echo 0)))
  done < <(sed 's/\x1b\[[0-9;]*m//g' "$1" | grep -E '^[0-9]+ passed, [0-9]+ failed$|^ *Tests  ')
}

finish() {
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

# Tools that only CI needs; the product itself needs a compiler, CMake and Node.
install_tools() {
  local missing=()
  command -v clang-format >/dev/null || missing+=(clang-format)
  command -v qemu-x86_64 >/dev/null || missing+=(qemu-user)
  command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
  command -v cmake >/dev/null || missing+=(cmake)
  command -v g++ >/dev/null || missing+=(g++)
  /usr/bin/python3 -c 'import torch, numpy' 2>/dev/null || missing+=(python3-torch python3-numpy)
  /usr/bin/python3 -c 'import PIL' 2>/dev/null || missing+=(python3-pil)
  /usr/bin/python3 -c 'import sklearn' 2>/dev/null || missing+=(python3-sklearn)
  [ ${#missing[@]} -eq 0 ] && return 0
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

generator() {
  if command -v ninja >/dev/null; then echo Ninja; else echo 'Unix Makefiles'; fi
}

# The C++ tests and those of the emulated CUDA kernels, the latter in one order of threads: this looks for bad accesses.
sanitized() {
  export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  cmake -S . -B build/sanitized -G "$(generator)" -DFCDD_TESTS=ON -DFCDD_CUDA=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DFCDD_SANITIZE=address,undefined && cmake --build build/sanitized -j 2 --target fcdd_tests fcdd_cuda_tests &&
    build/sanitized/native/tests/fcdd_tests &&
    FCDD_CUDA_ORDERS=1 build/sanitized/native/tests/cuda/fcdd_cuda_tests
}

# npm ci has compiled the kernels for this machine's GPU, or for sm_80; the newest path must compile as well.
cuda_compiles() {
  cmake -S . -B build/cuda -G "$(generator)" -DFCDD_CUDA=ON -DFCDD_CUDA_ARCHITECTURES=90a-real -DCMAKE_BUILD_TYPE=Release &&
    cmake --build build/cuda -j 2 --target fcdd_cuda
}

# A processor without AVX: only the baseline kernels may run.
old_processor() {
  local name
  for name in cpu_isa cpu_conv_same_padding cpu_post_large cpu_loss cpu_score cpu_update; do
    timeout 300 qemu-x86_64 -cpu Nehalem build/native/native/tests/fcdd_tests $name || return 1
  done
}

arm64_compiles() {
  cmake -S . -B build/arm64 -DFCDD_TESTS=ON -DFCDD_CUDA=OFF -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ && cmake --build build/arm64 -j 2 --target fcdd_tests fcdd_cuda_tests
}

# Without a driver the command line says what is missing and goes on with the CPU; with nvcc the library is there.
cuda_messages() {
  local said
  said=$(node dist/cli/main.js train --device cuda --epochs 1 2>&1) && return 1
  printf '%s\n' "$said"
  grep -qE 'driver|no CUDA device|not built' <<<"$said" && node dist/cli/main.js doctor
}

# The README's first command, its budget and its promise.
demo_run() {
  local out
  out=$(mktemp -d)/demo
  timeout 300 node dist/cli/main.js train --out "$out" --json | tail -n 1 | node -e '
    const m = JSON.parse(require("fs").readFileSync(0, "utf8"));
    console.log(`demo: image ${m.sample.rocAuc} pixel ${m.pixel.rocAuc} in ${m.seconds} s`, m.baselines);
    if (!(m.sample.rocAuc >= 0.95 && m.pixel.rocAuc >= 0.90)) process.exit(1);
    if (Object.values(m.baselines).some((b) => b > 0.75)) process.exit(1);' &&
    node dist/cli/main.js evaluate "$out/model.safetensors" --json >/dev/null
}

# One short training on real photographs, evaluated and predicted again from its model file.
real_images() {
  local out
  out=$(mktemp -d)
  node dist/cli/main.js train --dataset mvtec --data $data/magnetic-tile --model cnn224 --noise confetti --epochs 1 \
    --batch-size 32 --out "$out/run" --json | tail -n 1 | node -e '
    const m = JSON.parse(require("fs").readFileSync(0, "utf8"));
    console.log(`tiles, one epoch: image ${m.sample.rocAuc} pixel ${m.pixel.rocAuc} synthetic ${m.synthetic.sampleRocAuc}`);
    // One epoch is too little for real defects; it must tell its own synthetic ones from normal tiles.
    if (!(m.synthetic.sampleRocAuc > 0.9 && m.pixel.rocAuc > 0)) process.exit(1);' &&
    node dist/cli/main.js predict "$out/run/model.safetensors" $data/magnetic-tile/test/crack --out "$out/heatmaps"
}

step 'tools that CI needs' install_tools
step 'npm ci (installs and builds)' npm ci --no-audit --no-fund || { finish; exit 1; }
step 'npm test' npm test
step 'sanitizers (address, undefined)' sanitized
step 'baseline kernels on an old processor (emulated)' old_processor
step 'arm64 compiles' arm64_compiles
# A sample of the faults; npm run test:cuda-mutations puts all of them in.
step 'faults put into the CUDA kernels are noticed' node scripts/cuda-mutate.mjs --sample 48 --orders 2
if nvcc --version >/dev/null 2>&1 || [ -x /usr/local/cuda/bin/nvcc ]; then step 'CUDA kernels compile for sm_90a' cuda_compiles; fi
if ! nvidia-smi >/dev/null 2>&1; then step 'what --device cuda and doctor say without a GPU' cuda_messages; fi
step 'fcdd-native train (demo)' demo_run
if [ -d $data/magnetic-tile ]; then
  step 'one training run on real images' real_images
  step 'miniature comparisons with PyTorch' node scripts/compare/miniature.mjs --data $data
else
  echo "skipped: training on real images and the comparisons need $data, which is absent"
fi
finish
