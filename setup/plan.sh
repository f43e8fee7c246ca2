# shellcheck shell=bash
# Chooses how llama.cpp is built for the detected machine, and prints that. Sourced by setup_hw.sh.

note() { NOTES="${NOTES:+$NOTES$'\n'}$*"; }

# Sets BACKEND, ARGS (CMAKE_ARGS; the user's own come last and win) and NOTES.
choose_build() {
    NOTES=""
    # Without OpenMP llama.cpp's threads spin for ever at its barriers; LLAVA_BUILD is image input, 15% of the build.
    ARGS="-DGGML_NATIVE=ON -DGGML_OPENMP=ON -DLLAVA_BUILD=OFF"
    choose_backend
    case $BACKEND in
    cuda) ARGS="$ARGS -DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=$(cuda_architecture)" ;;
    vulkan) ARGS="$ARGS -DGGML_VULKAN=ON" ;;
    metal) ARGS="$ARGS -DGGML_METAL=ON" ;;
    esac
    if [ -n "${CMAKE_ARGS:-}" ]; then
        ARGS="$ARGS $CMAKE_ARGS"
        backend_from_args
    fi
    if [ "$CPU_EFFICIENCY" != 0 ]; then
        note "Hybrid CPU: answers are computed on its $CPU_PERFORMANCE performance CPUs, not on the $CPU_EFFICIENCY" \
            "efficiency ones."
    fi
}

choose_backend() {
    BACKEND=cpu
    if [ "$METAL" = 1 ]; then
        BACKEND=metal
    elif cuda_usable; then
        BACKEND=cuda
    elif [ "$VULKAN_GPU$VULKAN_HEADERS" = 11 ] && [ -n "$GLSLC" ]; then
        BACKEND=vulkan
    elif [ "$VULKAN_GPU" = 1 ]; then
        note "A GPU with a Vulkan driver, but nothing to build for it with. To use it install glslc, the Vulkan" \
            "headers and the SPIR-V headers (Debian, Ubuntu: apt-get install glslc libvulkan-dev spirv-headers)."
    fi
}

cuda_usable() {
    if [ "$JETSON" = 1 ] && [ -z "$NVCC" ]; then
        note "A Jetson without the CUDA toolkit. To use its GPU: apt-get install nvidia-jetpack"
    elif [ "$JETSON" = 0 ] && [ "$NVIDIA" = 0 ]; then
        return 1
    elif [ "$JETSON" = 0 ] && [ -z "$NVIDIA_DRIVER" ]; then
        note "An NVIDIA GPU without a loaded driver. To use it install NVIDIA's driver and the CUDA toolkit."
    elif [ -z "$NVCC" ]; then
        note "An NVIDIA GPU without the CUDA toolkit (no nvcc). To use it install the toolkit" \
            "(Debian, Ubuntu: apt-get install nvidia-cuda-toolkit; Fedora: dnf install cuda-toolkit;" \
            "Arch: pacman -S cuda)."
    elif [ -n "$CUDA_VERSION" ] && [ "${CUDA_VERSION%%.*}" -lt 11 ]; then
        note "CUDA $CUDA_VERSION is too old for llama.cpp (C++17 needs 11 or newer): not used."
    else
        return 0
    fi
    return 1
}

# Named on Jetson, whose CMake (3.22) does not know "native".
cuda_architecture() {
    case $JETSON_SOC in
    tegra264) echo 110 ;; # Thor
    tegra234) echo 87 ;;  # Orin
    tegra194) echo 72 ;;  # Xavier
    tegra186) echo 62 ;;  # TX2
    tegra210) echo 53 ;;  # Nano, TX1
    *) echo native ;;
    esac
}

# The user's CMAKE_ARGS may have turned a backend on or off; the last word counts, as in CMake.
backend_from_args() {
    local word words name state
    IFS=' ' read -ra words <<<"$ARGS"
    for word in "${words[@]}"; do
        case $word in
        -DGGML_CUDA=* | -DGGML_VULKAN=* | -DGGML_METAL=*) ;;
        *) continue ;;
        esac
        name=$(tr '[:upper:]' '[:lower:]' <<<"${word#-DGGML_}")
        state=${name#*=} name=${name%=*}
        case $state in
        on | 1 | true | yes) BACKEND=$name ;;
        *) [ "$BACKEND" != "$name" ] || BACKEND=cpu ;;
        esac
    done
}

choose_python() {
    detect_python
    if python_will_do "$PYTHON_VERSION"; then return; fi
    if [ -n "$UV" ]; then
        note "EdgeRoute needs Python 3.11, this machine has ${PYTHON_VERSION:-none}: uv will bring one."
    else
        note "EdgeRoute needs Python 3.11, this machine has ${PYTHON_VERSION:-none}: install uv, which brings one" \
            "(pip install uv, or pipx install uv)."
    fi
}

print_plan() {
    row machine "$OS $ARCH, $CPU_MODEL, $CPU_LOGICAL CPUs"
    if [ "$CPU_EFFICIENCY" != 0 ]; then row "" "$CPU_PERFORMANCE performance, $CPU_EFFICIENCY efficiency"; fi
    if [ "$JETSON" = 1 ]; then row jetson "${BOARD:-yes} (${JETSON_SOC:-unknown chip}), L4T ${JETSON_L4T:-unknown}"; fi
    if [ "$NVIDIA" = 1 ]; then row nvidia "${NVIDIA_GPUS//$'\n'/, } driver ${NVIDIA_DRIVER:-none}"; fi
    if [ -n "$NVCC" ]; then row cuda "${CUDA_VERSION:-unknown version} ($NVCC)"; fi
    if [ "$VULKAN_GPU" = 1 ]; then row vulkan "${VULKAN_ICDS//$'\n'/, }; glslc ${GLSLC:-missing}"; fi
    row python "${PYTHON_VERSION:-none} ${PYTHON:+($PYTHON)}${UV:+, uv ($UV)}"
    row backend "$BACKEND"
    row CMAKE_ARGS "$ARGS"
    local line
    while IFS= read -r line; do [ -z "$line" ] || row note "$line"; done <<<"$NOTES"
}

row() { printf '%-11s %s\n' "$1" "$2"; }

print_plan_json() {
    printf '{"root": %s, "os": %s, "arch": %s,\n' \
        "$(json_string "${ROOT:-/}")" "$(json_string "$OS")" "$(json_string "$ARCH")"
    printf ' "cpu": {"model": %s, "logical": %d, "performance": %d, "efficiency": %d, "hybrid": %s},\n' \
        "$(json_string "$CPU_MODEL")" "$CPU_LOGICAL" "$CPU_PERFORMANCE" "$CPU_EFFICIENCY" "$(json_bool "$CPU_EFFICIENCY")"
    printf ' "nvidia": {"present": %s, "gpus": %s, "driver": %s},\n' \
        "$(json_bool "$NVIDIA")" "$(json_list "$NVIDIA_GPUS")" "$(json_or_null "$NVIDIA_DRIVER")"
    printf ' "cuda": {"present": %s, "version": %s, "nvcc": %s},\n' \
        "$(json_bool "${NVCC:+1}")" "$(json_or_null "$CUDA_VERSION")" "$(json_or_null "$NVCC")"
    printf ' "jetson": {"present": %s, "model": %s, "soc": %s, "l4t": %s},\n' "$(json_bool "$JETSON")" \
        "$([ "$JETSON" = 0 ] && echo null || json_or_null "$BOARD")" "$(json_or_null "$JETSON_SOC")" \
        "$(json_or_null "$JETSON_L4T")"
    printf ' "vulkan": {"present": %s, "icds": %s, "headers": %s, "glslc": %s},\n' \
        "$(json_bool "$VULKAN_GPU")" "$(json_list "$VULKAN_ICDS")" "$(json_bool "$VULKAN_HEADERS")" \
        "$(json_or_null "$GLSLC")"
    printf ' "metal": {"present": %s},\n' "$(json_bool "$METAL")"
    printf ' "python": {"path": %s, "version": %s, "uv": %s},\n' \
        "$(json_or_null "$PYTHON")" "$(json_or_null "$PYTHON_VERSION")" "$(json_or_null "$UV")"
    printf ' "backend": %s,\n "cmake_args": %s,\n "notes": %s}\n' \
        "$(json_string "$BACKEND")" "$(json_list "${ARGS// /$'\n'}")" "$(json_list "$NOTES")"
}

json_string() {
    local text
    text=$(printf '%s' "$1" | tr '\001-\037\177' ' ')
    text=${text//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

json_or_null() { if [ -n "$1" ]; then json_string "$1"; else printf null; fi; }

json_bool() { case $1 in "" | 0) printf false ;; *) printf true ;; esac; }

json_list() { # one item a line
    local item comma=""
    printf '['
    while IFS= read -r item; do
        [ -n "$item" ] || continue
        printf '%s%s' "$comma" "$(json_string "$item")"
        comma=", "
    done <<<"$1"
    printf ']'
}
