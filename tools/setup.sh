#!/usr/bin/env bash
# Sets up a fresh Debian 12 machine and builds: system packages, the Python
# environment .venv with the package in it, and build/. Idempotent; a second run
# takes seconds. `source tools/setup.sh` from a script, or run it by hand.
#
#   --tests   also installs what only the tests need (PyTorch, transformers)
#
# Environment: ROPEWALK_JOBS (parallel compile jobs, default: all processors).
set -euo pipefail

ropewalk_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ropewalk_llvm=/usr/lib/llvm-22
ropewalk_packages=(
  llvm-22 llvm-22-dev libmlir-22-dev mlir-22-tools clang-22 lld-22 libomp-22-dev
  cmake ninja-build nlohmann-json3-dev libgtest-dev libzstd-dev
  libedit-dev zlib1g-dev libxml2-dev libcurl4-openssl-dev
  git python3 python3-venv python3-dev binutils)

ropewalk_say() { printf '== %s\n' "$*" >&2; }
ropewalk_fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Prints the packages of the list that are not installed.
ropewalk_missing_packages() {
  local package
  for package in "${ropewalk_packages[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

ropewalk_install_packages() {
  command -v dpkg-query >/dev/null || ropewalk_fail \
    "this is not a Debian system: install LLVM and MLIR 22.1 (shared libraries), clang 22, lld 22, libomp 22, cmake, ninja, nlohmann-json and googletest by hand, then run cmake"
  local missing
  missing=$(ropewalk_missing_packages)
  [ -n "$missing" ] || return 0
  local sudo=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || ropewalk_fail "missing packages, and neither root nor sudo to install them: $(echo $missing)"
    sudo=sudo
  fi
  ropewalk_say "installing packages: $(echo $missing)"
  $sudo apt-get update -qq
  local package
  for package in $missing; do
    [ -n "$(apt-cache policy "$package" 2>/dev/null | grep -E 'Candidate: [^(]')" ] || ropewalk_fail \
      "package $package is not to be had from this system's sources; on Debian 12 llvm-22 and its libraries come from the suite bookworm-security, which must be among them"
  done
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

ropewalk_check_llvm() {
  local version
  [ -x "$ropewalk_llvm/bin/llvm-config" ] || ropewalk_fail "no $ropewalk_llvm/bin/llvm-config (package llvm-22)"
  version=$("$ropewalk_llvm/bin/llvm-config" --version)
  case "$version" in
    22.1.*) ;;
    *) ropewalk_fail "LLVM 22.1 is needed (package llvm-22), found $version" ;;
  esac
  [ -e "$ropewalk_llvm/lib/libMLIR.so" ] || [ -e "$ropewalk_llvm/lib/libMLIR.so.22.1" ] || ropewalk_fail "no libMLIR.so in $ropewalk_llvm/lib (package libmlir-22-dev)"
}

# pip install, once for each state of the files that say what to install.
ropewalk_pip() { # STAMP COMMAND...
  local stamp="$ropewalk_root/.venv/$1"
  shift
  local wanted
  wanted=$(cat "$ropewalk_root/python/pyproject.toml" "$ropewalk_root/tools/setup.sh" | cksum)
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
  "$@"
  echo "$wanted" >"$stamp"
}

ropewalk_venv() {
  if [ ! -x "$ropewalk_root/.venv/bin/python" ]; then
    ropewalk_say "creating .venv"
    python3 -m venv "$ropewalk_root/.venv"
  fi
  ropewalk_pip stamp-package ropewalk_install_package
}

ropewalk_install_package() {
  ropewalk_say "installing the Python package into .venv"
  local pip="$ropewalk_root/.venv/bin/python -m pip --disable-pip-version-check -q"
  $pip install --upgrade "setuptools>=64" wheel
  $pip install --no-build-isolation -e "$ropewalk_root/python[plot,tokenizers]"
  # ptxas assembles what is compiled; its version is pinned to the one whose
  # figures docs/ states.
  command -v ptxas >/dev/null || $pip install "nvidia-cuda-nvcc==13.0.*"
}

# The compiler looks for ptxas in the folder of its own tools, too.
ropewalk_link_ptxas() {
  local found
  found=$(find "$ropewalk_root/.venv/lib" -path '*/bin/ptxas' -type f 2>/dev/null | head -n 1)
  [ -z "$found" ] || ln -sf "$found" "$ropewalk_root/build/bin/ptxas"
}

ropewalk_install_test_packages() {
  ropewalk_say "installing PyTorch, transformers and Triton into .venv (tests only)"
  local pip="$ropewalk_root/.venv/bin/python -m pip --disable-pip-version-check -q"
  # PyTorch goes first and alone: what depends on it would else pull a build for
  # CUDA, several GB.
  $pip install "torch==2.13.0"
  $pip install "transformers==5.23.*" safetensors pytest "numpy<3"
  # A compiler of kernels for the emulator; a wheel that needs no other package.
  $pip install "triton==3.9.0"
}

ropewalk_build() {
  local build="$ropewalk_root/build"
  if [ ! -f "$build/build.ninja" ]; then
    ropewalk_say "configuring"
    cmake -S "$ropewalk_root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
      -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22 >&2
  fi
  ropewalk_say "building"
  ninja -C "$build" -j "${ROPEWALK_JOBS:-$(nproc)}" --quiet >&2
}

ropewalk_setup() {
  ropewalk_install_packages
  ropewalk_check_llvm
  ropewalk_build
  ropewalk_venv
  ropewalk_link_ptxas
  if [ "${1:-}" = --tests ]; then
    ropewalk_pip stamp-tests ropewalk_install_test_packages
  fi
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  ropewalk_setup "$@"
fi
