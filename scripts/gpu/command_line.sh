# shellcheck shell=bash disable=SC2034,SC2154,SC1007
# The real command line on the GPU, beside the cpu, where there is a Node. Sourced by scripts/gpu-verify.

demo_least_image=0.95 demo_least_pixel=0.90  # what the README promises of the demo
fashion_largest_difference=0.02              # PyTorch's own spread over seeds is 0.005

can_build_addon() {
  [ -n "$node" ] && [ -e dist/cli/main.js ] && [ -d node_modules/node-api-headers/include ] && [ -d node_modules/node-addon-api ]
}

# train NAME DEVICE OPTIONS…: leaves {"name","device","image","pixel","seconds",…} in $work/cli-NAME-DEVICE.json.
train() {
  local name=$1 on=$2 run=$work/cli-$1-$2
  shift 2
  limited "$node" dist/cli/main.js train --device "$on" --out "$run" --json "$@" >"$run.out" 2>"$run.err"
  local code=$?
  if [ $code -ne 0 ]; then
    echo "$name on $on: status $code"
    tail -n 20 "$run.err"
    return $code
  fi
  tail -n 1 "$run.out" | "$node" -e '
    const m = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const [name, device] = process.argv.slice(1);
    console.log(JSON.stringify({ name, device, image: m.sample?.rocAuc ?? null, pixel: m.pixel?.rocAuc ?? null,
      seconds: m.seconds, imagesPerSecond: m.imagesPerSecond }));' "$name" "$on" >"$run.json"
  cat "$run.json"
}

# Both devices at once: one works on the GPU, the other on the processor.
train_both() {
  local cpu
  train "$1" cpu "${@:2}" &
  cpu=$!
  train "$1" "$device" "${@:2}"
  local code=$?
  wait $cpu && return $code
}

# Prints what is wrong with the figures; fails when something is.
judge() {
  "$node" -e '
    const [gpuDevice, image, pixel, largest, ...files] = process.argv.slice(1);
    const runs = files.map((f) => JSON.parse(require("fs").readFileSync(f, "utf8")));
    const of = (name, device) => runs.find((r) => r.name === name && r.device === device);
    const wrong = [];
    const demo = of("demo", gpuDevice);
    if (demo && !(demo.image >= image && demo.pixel >= pixel)) wrong.push(`demo: ${demo.image}, ${demo.pixel}`);
    const [gpu, cpu] = [of("fashion", gpuDevice), of("fashion", "cpu")];
    if (gpu && cpu && !(Math.abs(gpu.image - cpu.image) <= largest)) wrong.push(`fashion: ${gpu.image} beside ${cpu.image}`);
    console.log(wrong.join("; ") || runs.map((r) => `${r.name} ${r.device} ${r.image?.toFixed(4)}`).join(", "));
    process.exitCode = wrong.length === 0 && runs.length > 0 ? 0 : 1;' "$@"
}

fashion_data() {
  local folder
  for folder in "$data" shared/data ../shared/data .gpu/data; do
    if [ -n "$folder" ] && [ -d "$folder/fashion-mnist-mini" ]; then
      echo "$folder"
      return 0
    fi
  done
  return 1
}

train_by_command_line() {
  # A run takes the emulation many minutes; the TypeScript tests train on it in small.
  [ "$emulated" = 0 ] || { say='not on the emulated library'; return 3; }
  [ -n "$node" ] || { say='no Node'; return 3; }
  can_build_addon || { say='no built dist/ or no node_modules'; return 3; }
  [ "$built" = 1 ] || { say='the library was not built'; return 3; }
  say='compiling the addon failed'
  limited "$cmake" --build "$build" --parallel "$jobs" --target fcdd_addon || return
  export FCDD_ADDON=$build/fcdd.node
  local code=0 folder
  "$node" dist/cli/main.js doctor || true
  if folder=$(fashion_data); then
    train_both fashion --dataset fashion-mnist --data "$folder/fashion-mnist-mini" --oe "$folder/oe-mini" --class 1 \
      --model cnn28 --batch-size 32 --epochs 20 --seed 0 || code=$?
  else
    echo 'mini Fashion-MNIST is not here: name the folder that holds fashion-mnist-mini and oe-mini with --data'
  fi
  train_both demo || code=$?
  say='no run ended'
  compgen -G "$work/cli-*.json" >/dev/null || return 1
  say=$(judge "$device" $demo_least_image $demo_least_pixel $fashion_largest_difference "$work"/cli-*.json) || code=1
  printf '[%s]' "$(cat "$work"/cli-*.json 2>/dev/null | paste -sd,)" >"$work/cli.json"
  return $code
}
