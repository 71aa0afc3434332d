# shellcheck shell=bash disable=SC2034,SC2154,SC1007
# Sections with time limits, their results, and the JSON file. Sourced by scripts/gpu-verify.

names=()
declare -A status seconds note report
failed_sections=0
section_end=0
running=

# A string as JSON.
json_text() {
  local s=${1//\\/\\\\}
  s=${s//\"/\\\"}
  s=${s//$'\n'/\\n}
  s=${s//$'\t'/\\t}
  s=$(LC_ALL=C tr -d '\000-\037\177' <<<"$s" | iconv -c -f UTF-8 -t UTF-8 2>/dev/null)
  printf '"%s"' "$s"
}

# A number as JSON, null when it is none.
json_number() {
  if [[ ${1-} =~ ^-?[0-9]+(\.[0-9]+)?$ ]]; then printf '%s' "$1"; else printf null; fi
}

# Lines of standard input as an array of JSON strings.
json_lines() {
  local line separator=
  printf '['
  while IFS= read -r line; do
    printf '%s%s' "$separator" "$(json_text "$line")"
    separator=,
  done
  printf ']'
}

# Runs a command for as long as the section may still take; 124 when that is over.
limited() {
  local left=$((section_end - SECONDS))
  [ "$left" -gt 0 ] || return 124
  # In the background, so that a signal to gpu-verify is seen at once and can be passed on.
  local code
  timeout --kill-after=5 "$left" "$@" &
  running=$!
  wait "$running"
  code=$?
  running=
  return $code
}

# A signal ends what is running, a build for instance, and then gpu-verify.
interrupted() {
  [ -z "$running" ] || kill "$running" 2>/dev/null
  exit "$1"
}

# section NAME LIMIT FUNCTION. The function says what came out in the variable `say` and may leave its details as JSON
# in $work/NAME.json. It returns 0 (passed), 3 (skipped, `say` tells why), 124 (out of time) or anything else (failed).
section() {
  local name=$1 limit=$2 function=$3 begin=$SECONDS left=$((total - SECONDS)) code
  case ",$only,build," in ,,build, | *",$name,"*) ;; *) return 0 ;; esac
  names+=("$name")
  [ "$limit" -le "$left" ] || limit=$left
  section_end=$((SECONDS + limit))
  say=
  if [ "$limit" -lt 5 ]; then
    say='no time left' code=3
  else
    log=$work/$name.log
    "$function" >"$log" 2>&1 </dev/null
    code=$?
  fi
  case $code in
    0) status[$name]=passed ;;
    3) status[$name]=skipped ;;
    124 | 137) status[$name]='out of time' ;;
    *) status[$name]=FAILED ;;
  esac
  case $code in 0 | 3) ;; *) failed_sections=$((failed_sections + 1)) ;; esac
  seconds[$name]=$((SECONDS - begin))
  note[$name]=$say
  report[$name]=$work/$name.json
  printf '%-10s %-11s %4d s  %s\n' "$name" "${status[$name]}" "${seconds[$name]}" "$say"
  case $code in 0 | 3) ;; *) tail -n 30 "$work/$name.log" | sed 's/^/    /' ;; esac
}

section_json() {
  local name=$1 details=null tail=null
  [ -s "${report[$name]}" ] && details=$(cat "${report[$name]}")
  case ${status[$name]} in
    FAILED | 'out of time') [ -e "$work/$name.log" ] && tail=$(tail -n 60 "$work/$name.log" | cut -c1-400 | json_lines) ;;
  esac
  printf '{"status":%s,"seconds":%d,"note":%s,"log":%s,"report":%s}' "$(json_text "${status[$name],,}")" \
    "${seconds[$name]}" "$(json_text "${note[$name]}")" "$tail" "$details"
}

# report_path OUT: a file; for a folder (or nothing) <gpu>-<date>.json in it.
report_path() {
  local to=${1:-${OUT:-build}/} slug
  slug=$(tr '[:upper:]' '[:lower:]' <<<"$gpu_name" | sed -E 's/[^a-z0-9]+/-/g; s/^nvidia-//; s/-$//')
  case $to in */) to=$to$slug-$(date -u +%Y-%m-%d).json ;; esac
  mkdir -p "$(dirname "$to")" && printf '%s' "$to"
}

write_report() {
  local name separator= processor
  written=$1
  processor=$(sed -nE 's/^model name\s*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
  {
    printf '{"device":%s,"gpu":%s,"driver":%s,"computeCapability":%s,"memoryMiB":%s,"cuda":%s,' "$(json_text "$device")" \
      "$(json_text "$gpu_name")" "$(json_text "$driver")" "$(json_text "$capability")" "$(json_number "$memory_mib")" \
      "$(json_text "$cuda_version")"
    printf '"date":%s,"commit":%s,"changed":%s,"host":{"processor":%s,"cores":%s},"seconds":%d,"failedSections":%d,"sections":{' \
      "$(json_text "$(date -u +%Y-%m-%dT%H:%M:%SZ)")" "$(json_text "$commit")" "$changed" "$(json_text "$processor")" \
      "$(json_number "$jobs")" $SECONDS "$failed_sections"
    for name in "${names[@]}"; do
      printf '%s%s:%s' "$separator" "$(json_text "$name")" "$(section_json "$name")"
      separator=,
    done
    printf '}}\n'
  } >"$written"
}

# Sections, then whole steps beside PyTorch, then the verdict.
print_summary() {
  local name
  printf '\n%s, driver %s, CUDA %s, commit %s, %d s\n' "$gpu_name" "$driver" "$cuda_version" "${commit:0:12}" $SECONDS
  for name in "${names[@]}"; do
    printf '  %-10s %-11s %4d s  %s\n' "$name" "${status[$name]}" "${seconds[$name]}" "${note[$name]}"
  done
  if [ "$emulated" = 0 ] && [ -s "$work/speed.table" ]; then
    printf '  %-11s %-20s %-8s %6s %10s %10s  %s\n' network '' precision batch 'ours, ms' 'torch, ms' "PyTorch's best"
    touch "$work/pytorch.table"
    awk -F '\t' 'FILENAME == ARGV[1] { ms[$1, $2, $3, $4] = $5; how[$1, $2, $3, $4] = $6; next }
      { key = $1 SUBSEP $2 SUBSEP $3 SUBSEP $4
        printf "  %-11s %-20s %-8s %6d %10.3f %10s  %s\n", $1, $2, $3, $4, $5,
          (key in ms ? sprintf("%.3f", ms[key]) : "-"), (key in ms ? how[key] : "") }' \
      "$work/pytorch.table" "$work/speed.table"
  fi
  printf '%s\n%s\n' "$written" "$([ "$failed_sections" -eq 0 ] && echo 'all sections passed' || echo "$failed_sections sections failed")"
}
