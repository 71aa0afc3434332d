# shellcheck shell=bash disable=SC2034,SC2154,SC1007
# What gpu-verify does, section by section. Each function sets `say` to one line and returns as report.sh describes.
# Sourced by scripts/gpu-verify.

program() {
  find "$build" -type f -name "$1" -perm -u+x 2>/dev/null | head -n 1
}

# N of the last line "N passed, M failed" of a log, and M.
passed_of() { sed -nE 's/^([0-9]+) passed, [0-9]+ failed$/\1/p' "$1" | tail -n 1; }
failed_of() { sed -nE 's/^[0-9]+ passed, ([0-9]+) failed$/\1/p' "$1" | tail -n 1; }

built=0

# For a section that needs the program $1; its path goes to `found`. What an earlier build left behind does not count.
need() {
  found=$(program "$1")
  if [ "$built" = 0 ] || [ -z "$found" ]; then
    say="$1 was not built"
    return 3
  fi
}

# The library, the tests of the steps, and the programs that train and time.
build_all() {
  local options=(-DFCDD_TESTS=ON -DCMAKE_BUILD_TYPE=Release)
  if [ "$emulated" = 0 ]; then
    # A compiler with new warnings must not stop a verification.
    options+=(-DFCDD_WERROR=OFF "-DFCDD_CUDA_ARCHITECTURES=$architecture-real" -DFCDD_CUDA=ON "-DCMAKE_CUDA_COMPILER=$nvcc")
    targets=(fcdd_cuda fcdd_cuda_gpu_tests fcdd_cuda_verify fcdd_cuda_bench)
  else
    options+=(-DFCDD_CUDA_EMULATED=ON -DFCDD_CUDA=OFF)
    targets=(fcdd_cuda_emulated_library fcdd_cuda_tests fcdd_cuda_verify fcdd_cuda_bench)
  fi
  if [ "$emulated" = 0 ] && can_build_addon; then
    options+=("-DFCDD_NODE_INCLUDES=$root/node_modules/node-api-headers/include;$root/node_modules/node-addon-api")
  fi
  first_command ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  say='configuring failed'
  limited "$cmake" -S . -B "$build" -G "$generator" "${options[@]}" || return
  say='compiling failed'
  limited "$cmake" --build "$build" --parallel "$jobs" --target "${targets[@]}" || return
  library=$(find "$build" -name "lib${targets[0]%_library}.so" | head -n 1)
  [ -n "$library" ] || { say='there is no library after the build'; return 1; }
  export FCDD_CUDA_LIBRARY=$library
  built=1
  say="${targets[*]}"
  [ "$emulated" = 0 ] || export FCDD_CUDA_ORDERS=1
  printf '{"architecture":%s,"compiler":%s,"jobs":%d,"libraryBytes":%s}' "$(json_text "$architecture")" \
    "$(json_text "$("${CXX:-c++}" --version | head -n 1)")" "$jobs" "$(json_number "$(stat -c %s "$library")")" >"$work/build.json"
}

# Tests whose names contain FILTER; counts and failures as JSON in $work/$1.json.
run_tests() {
  local name=$1 filter=$2 code log=$work/$1.out
  shift 2
  need "${targets[1]}" || return
  limited "$@" "$found" "$filter" >"$log" 2>&1
  code=$?
  cat "$log"
  local passed failed
  passed=$(passed_of "$log") failed=$(failed_of "$log")
  say="${passed:-$(grep -c '^ok ' "$log")} passed, ${failed:-$(grep -c '^FAIL ' "$log")} failed"
  [ -n "$passed" ] || say="$say before it ended with status $code"
  printf '{"passed":%s,"failed":%s,"tests":%s,"failures":%s,"seed":%s}' "$(json_number "$passed")" "$(json_number "$failed")" \
    "$(sed -nE 's/^(ok|FAIL) +//p' "$log" | json_lines)" "$(grep -E '^FAIL |^  ' "$log" | head -n 100 | json_lines)" "$(json_number "$seed")" >"$work/$name.json"
  return $code
}

probe_kernels() {
  run_tests probe probe
}

check_steps() {
  run_tests steps '' env FCDD_TEST_SEED="$seed" || { local code=$?; say="$say (--seed $seed)"; return $code; }
}

check_training() {
  local code
  need fcdd_cuda_verify || return
  limited "$found" --device "$device" --precisions "$precisions" --json "$work/training.json" --seconds $((section_end - SECONDS - 15)) \
    "${reduced[@]}" >"$work/training.out" 2>&1
  code=$?
  cat "$work/training.out"
  say=$(tail -n 1 "$work/training.out")
  return $code
}

time_ours() {
  local code
  need fcdd_cuda_bench || return
  limited "$found" --device "$device" --precisions "$precisions" --json "$work/speed.json" --table "$work/speed.table" \
    --seconds $((section_end - SECONDS - 15)) "${reduced[@]}"
  code=$?
  [ -e "$work/speed.table" ] || { say='it wrote nothing'; return $((code > 0 ? code : 1)); }
  say="$(wc -l <"$work/speed.table") whole steps"
  if [ "$emulated" = 1 ]; then
    say="$say run; times of an emulation mean nothing and are not kept"
    rm -f "$work/speed.json"
  fi
  return $code
}

time_pytorch() {
  [ -n "$python" ] || { say='no Python with PyTorch'; return 3; }
  local options=(--device cuda --precisions "$precisions")
  if [ "$emulated" = 1 ]; then
    options=(--device cpu --reduced --precisions float32)
  elif ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    say='this PyTorch sees no GPU'
    return 3
  fi
  limited "$python" scripts/gpu/torch_gpu_speed.py "${options[@]}" --seconds $((section_end - SECONDS - 20)) \
    --json "$work/pytorch.json" --table "$work/pytorch.table"
  local code=$?
  say="PyTorch $("$python" -c 'import torch; print(torch.__version__)')"
  [ "$emulated" = 0 ] || rm -f "$work/pytorch.json"
  return $code
}

# Parts of test names, the quickest first. The device's own tests provoke errors on purpose.
sanitized_groups='cuda_probe cuda_norm cuda_update cuda_first_update cuda_upsample cuda_score cuda_loss cuda_post cuda_conv cuda_augment'

# sanitize NAME TOOL: the steps under one tool of compute-sanitizer, group by group as far as the time goes.
sanitize() {
  local name=$1 tool=$2 code=0 done_groups=()
  [ -n "$sanitizer" ] || { say='compute-sanitizer is not there'; return 3; }
  need "${targets[1]}" || return
  local errors=0
  for group in $sanitized_groups; do
    limited env FCDD_CUDA_ORDERS=1 "$sanitizer" --tool "$tool" --report-api-errors no --error-exitcode 99 --print-limit 10 "$found" "$group"
    code=$?
    case $code in
      0) done_groups+=("$group") ;;
      124 | 137) break ;;
      *) errors=$((errors + 1)); echo "$group: status $code" ;;
    esac
  done
  say="clean: ${done_groups[*]:-none}; $errors groups with errors"
  printf '{"tool":%s,"clean":%s,"groupsWithErrors":%d,"complete":%s}' "$(json_text "$tool")" \
    "$(printf '%s\n' "${done_groups[@]}" | grep . | json_lines)" $errors "$([ $code -ne 124 ] && [ $code -ne 137 ] && echo true || echo false)" >"$work/$name.json"
  [ $errors -eq 0 ] && [ ${#done_groups[@]} -gt 0 ]
}

sanitize_memory() { sanitize memcheck memcheck; }
sanitize_races() { sanitize racecheck racecheck; }
