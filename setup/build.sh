# shellcheck shell=bash
# Build tools, and the one long step: the llama-cpp-python wheel and its cache. Sourced by setup_hw.sh.

# The one command that installs WHAT (compiler, make, venv) with this machine's package manager.
install_command() {
    local what=$1 prefix="" manager
    if [ "$OS" = darwin ]; then
        case $what in venv) echo "brew install python@3.12" ;; *) echo "xcode-select --install" ;; esac
        return
    fi
    [ "$(id -u)" = 0 ] || prefix="sudo "
    for manager in apt-get dnf pacman apk zypper none; do
        if command -v "$manager" >/dev/null; then break; fi
    done
    case $manager-$what in
    apt-get-venv) echo "${prefix}apt-get install -y python${PYTHON_VERSION%.*}-venv" ;;
    apt-get-*) echo "${prefix}apt-get install -y build-essential" ;;
    dnf-* | zypper-*) echo "$prefix$manager install -y gcc gcc-c++ make python3-pip" ;;
    pacman-*) echo "${prefix}pacman -S --needed base-devel" ;;
    apk-*) echo "${prefix}apk add build-base linux-headers" ;;
    *) echo "(with your package manager) gcc, g++ and make; python3-venv" ;;
    esac
}

# As root with apt we install it ourselves; we never call sudo.
install_or_say() { # WHAT DESCRIPTION
    local command
    command=$(install_command "$1")
    case $(id -u)-$command in
    0-apt-get*)
        say "      $2 is missing; installing it: $command"
        logged "installing $2" "see whether '$command' works by hand." \
            env DEBIAN_FRONTEND=noninteractive sh -c "apt-get update && $command"
        ;;
    *) die "$2 is missing. Install it:" "    $command" "Then run the same command again." ;;
    esac
}

ensure_compiler() {
    if ! compiler_works; then install_or_say compiler "a C++ compiler"; fi
    compiler_works || die "the C++ compiler (${CXX:-c++}) cannot compile a small program; see ${LOG}."
    has_openmp || die "the C++ compiler (${CXX:-c++}) has no OpenMP, without which llama.cpp's threads spin for ever." \
        "Install it (for clang: libomp-dev) or use gcc: CC=gcc CXX=g++ ./setup_hw.sh"
}

compiler_works() {
    if [ "$OS" = darwin ] && ! xcode-select -p >/dev/null 2>&1; then return 1; fi # its c++ only opens a dialogue
    command -v "${CC:-cc}" >/dev/null && compiles
}

compiles() { "${CXX:-c++}" "$@" -x c++ -o /dev/null - <<<'#include <vector>
int main() { return 0; }' 2>>"$LOG"; }

has_openmp() { [ "$OS" = darwin ] || case " $ARGS " in *" -DGGML_OPENMP=OFF "*) ;; *) compiles -fopenmp ;; esac; }

# Everything a wheel depends on. Not Python: the wheel is py3-none, bindings through ctypes.
wheel_key() {
    {
        echo "recipe 1, $LLAMA, $ARGS"
        echo "$OS $ARCH, $CPU_MODEL, $CPU_FLAGS"
        "${CXX:-c++}" -dumpfullversion -dumpversion || true
        "${CXX:-c++}" -dumpmachine || true
        getconf GNU_LIBC_VERSION || true
        if [ "$BACKEND" = cuda ]; then echo "cuda $CUDA_VERSION"; fi
    } 2>/dev/null | sha256 | cut -c 1-16
}

cached_wheel() { first_existing "$CACHE/wheels/$KEY"/*.whl; }

ensure_wheel() {
    WHEEL=$(cached_wheel)
    if [ -n "$WHEEL" ]; then
        step "$LLAMA: already built for this machine"
        return
    fi
    case $BACKEND in
    cuda) step "building $LLAMA with CUDA (10 to 40 minutes, once)" ;;
    *) step "building $LLAMA for $BACKEND (2 to 10 minutes, once)" ;;
    esac
    build_wheel
    WHEEL=$(cached_wheel)
    [ -n "$WHEEL" ] || die "the build left no wheel in $CACHE/wheels/$KEY; see $LOG"
}

# In a folder of its own that stays when interrupted: sources and objects are not fetched or compiled twice.
build_wheel() {
    local work=$CACHE/build/$KEY
    mkdir -p "$work" "$CACHE/wheels"
    fetch_sources "$work"
    fetch_tools "$work"
    # Half of a plain build compiles llama.cpp's command line helpers, which the bindings force on and never load.
    echo 'set(LLAMA_BUILD_COMMON OFF)' >"$work/lean.cmake"
    local settings=(
        PYTHONPATH="$work/tools" PATH="$work/tools/bin:$PATH" SKBUILD_BUILD_DIR="$work/objects"
        CMAKE_ARGS="$ARGS" SKBUILD_CMAKE_DEFINE="CMAKE_PROJECT_llama.cpp_INCLUDE=$work/lean.cmake"
        CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(build_jobs)}"
    )
    if [ "$BACKEND" = cuda ]; then settings+=(CUDACXX="$NVCC" PATH="${NVCC%/*}:$work/tools/bin:$PATH"); fi
    logged "building $LLAMA" "$(build_advice)" env "${settings[@]}" "$VENV/bin/python" -m pip wheel -v --no-cache-dir \
        --no-deps --no-build-isolation -w "$work/wheel" "$work/source"
    rm -rf "$CACHE/wheels/$KEY"
    mv "$work/wheel" "$CACHE/wheels/$KEY" # one rename: a wheel in the cache is whole
    rm -rf "$work"
}

fetch_sources() { # FOLDER
    [ ! -e "$1/source" ] || return 0
    say "      fetching the sources (77 MB)"
    logged "fetching the sources of $LLAMA" "check that the package index can be reached." \
        "$VENV/bin/python" -m pip download --no-cache-dir --no-deps --no-binary llama-cpp-python -d "$1" "$LLAMA"
    check_sha256 "$(first_existing "$1"/llama_cpp_python-*.tar.gz)" "$LLAMA_SHA256"
    rm -rf "$1/unpacked"
    mkdir "$1/unpacked"
    tar xzf "$1"/llama_cpp_python-*.tar.gz -C "$1/unpacked"
    mv "$1"/unpacked/* "$1/source"
    rm "$1"/llama_cpp_python-*.tar.gz
}

# Beside the sources, not in pip's throw-away build environment: CMake remembers paths, a resumed build needs them.
fetch_tools() { # FOLDER
    local missing=("scikit-build-core>=0.10")
    [ ! -e "$1/tools.ready" ] || return 0
    new_cmake || missing+=("cmake>=3.24")
    command -v ninja >/dev/null || missing+=(ninja)
    rm -rf "$1/tools"
    logged "fetching the build tools" "check that the package index can be reached." \
        "$VENV/bin/python" -m pip install --target "$1/tools" "${missing[@]}"
    touch "$1/tools.ready"
}

new_cmake() { # 3.24 is the first that knows CMAKE_CUDA_ARCHITECTURES=native
    local version
    version=$(cmake --version 2>/dev/null | sed -n 's/^cmake version \([0-9.]*\).*/\1/p') || return 1
    [ -n "$version" ] && [ "$(printf '3.24\n%s\n' "$version" | sort -V | head -n 1)" = 3.24 ]
}

# As many compilers as there are CPUs, but no more than memory holds (about 1 GiB each, 2 for nvcc).
build_jobs() {
    local cpus kib each=1048576
    cpus=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
    if [ "$BACKEND" = cuda ]; then each=$((2 * each)); fi
    kib=$(text_of /proc/meminfo | field MemAvailable)
    kib=${kib% kB}
    if [ -n "$kib" ] && [ $((kib / each)) -lt "$cpus" ]; then cpus=$((kib / each)); fi
    echo $((cpus > 0 ? cpus : 1))
}

build_advice() {
    echo -n "if it ended with 'Killed', memory ran out: CMAKE_BUILD_PARALLEL_LEVEL=1 ./setup_hw.sh"
    case $BACKEND in
    cuda) echo -n "; the CUDA toolkit must be whole (with cuBLAS: libcublas-dev); to do without the GPU: export CMAKE_ARGS=-DGGML_CUDA=OFF (and keep it set)" ;;
    vulkan) echo -n "; to do without the GPU: export CMAKE_ARGS=-DGGML_VULKAN=OFF (and keep it set)" ;;
    esac
}
