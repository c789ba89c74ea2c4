#!/usr/bin/env bash
# Builds the tests of the emulator and of the runtime with sanitizers and runs
# them, the fuzzer among them. Nothing of MLIR is built.
#
#   tools/sanitize.sh            address and undefined behaviour
#   tools/sanitize.sh thread     data races between the emulator's host threads
#
# Environment: ROPEWALK_JOBS (parallel compile jobs, default: all processors),
# ROPEWALK_FUZZ_SECONDS and ROPEWALK_FUZZ_SEED (see FuzzTest.cpp; without the
# first the fuzzer runs a fixed number of cases). The last line is
# "N passed, N failed", counted by program.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case "${1:-address}" in
  address) sanitizers=address,undefined build="$root/build/sanitize" ;;
  thread) sanitizers=thread build="$root/build/sanitize-thread" ;;
  *) echo "usage: tools/sanitize.sh [address|thread]" >&2; exit 2 ;;
esac

source "$root/tools/setup.sh"
# The sanitizers' runtime comes with the compiler's own version.
ropewalk_packages+=(libclang-rt-22-dev)
ropewalk_install_packages
ropewalk_check_llvm

# One copy of the handlers is enough: the one that this host would choose.
isas=v3
grep -qw avx512bw /proc/cpuinfo && isas=v4
ropewalk_say "building with -fsanitize=$sanitizers for x86-64-$isas"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DROPEWALK_SANITIZE="$sanitizers" \
  -DROPEWALK_EMULATOR_ISAS="$isas" -DCMAKE_C_COMPILER=clang-22 \
  -DCMAKE_CXX_COMPILER=clang++-22 >/dev/null
programs=(RopewalkEmulatorTests RopewalkRuntimeTests)
ninja -C "$build" -j "${ROPEWALK_JOBS:-$(nproc)}" --quiet "${programs[@]}" >&2

suppressions=$root/tools/thread-sanitizer.supp
export TSAN_OPTIONS="suppressions=$suppressions${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
passed=0 failed=0
for program in "${programs[@]}"; do
  ropewalk_say "running $program"
  if "$build/bin/$program" --gtest_brief=1; then
    passed=$((passed + 1))
  else
    ropewalk_say "$program found a defect, or failed"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
