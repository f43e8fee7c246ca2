# shellcheck shell=bash disable=SC2034 # the globals set here are read by the other files
# What the machine is, read from files under $ROOT into globals. Sourced by setup_hw.sh.
# When DRAWN is 1 (plan --root DIR) nothing of the machine that runs the script may leak in: no PATH, no uname.

detect_machine() {
    detect_system
    detect_jetson
    detect_cpu
    detect_nvidia
    detect_cuda
    detect_vulkan
}

# A file's text with device-tree NULs as newlines and nothing but printable ASCII; empty if unreadable.
text_of() {
    if [ -r "$1" ]; then tr '\0' '\n' <"$1" | LC_ALL=C tr -cd '\n\t\040-\176'; fi
}

# The value of the first "NAME : value" line of standard input.
field() { sed -nE "/^($1)[[:space:]]*:/{s/^[^:]*:[[:space:]]*//p;q;}"; }

first_existing() {
    local path
    for path in "$@"; do
        if [ -e "$path" ]; then
            printf '%s' "$path"
            return
        fi
    done
}

live_command() { [ "$DRAWN" = 1 ] || command -v "$1" || true; }

detect_system() {
    METAL=0
    if [ "$DRAWN" = 0 ]; then
        OS=$(uname -s | tr '[:upper:]' '[:lower:]')
        ARCH=$(uname -m)
    elif [ -d "$ROOT/System/Library/Frameworks/Metal.framework" ]; then
        OS=darwin ARCH=arm64
    else
        OS=linux ARCH=unknown
        case $(text_of "$ROOT/proc/cpuinfo") in
        *'vendor_id'*) ARCH=x86_64 ;;
        *'CPU implementer'*) ARCH=aarch64 ;;
        esac
    fi
    if [ "$OS-$ARCH" = darwin-arm64 ]; then METAL=1; fi
}

detect_cpu() {
    local info
    info=$(text_of "$ROOT/proc/cpuinfo")
    CPU_MODEL=$(field 'model name' <<<"$info")
    CPU_FLAGS=$(field 'flags|Features' <<<"$info")
    CPU_LOGICAL=$(list_length "$(text_of "$ROOT/sys/devices/system/cpu/online")")
    [ "$CPU_LOGICAL" != 0 ] || CPU_LOGICAL=$(grep -c '^processor[[:space:]]*:' <<<"$info" || true)
    if [ "$OS" = darwin ] && [ "$DRAWN" = 0 ]; then
        CPU_MODEL=$(sysctl -n machdep.cpu.brand_string)
        CPU_LOGICAL=$(sysctl -n hw.logicalcpu)
        CPU_EFFICIENCY=$(sysctl -n hw.perflevel1.logicalcpu 2>/dev/null || echo 0)
    else
        CPU_EFFICIENCY=$(count_little_cpus)
    fi
    CPU_PERFORMANCE=$((CPU_LOGICAL - CPU_EFFICIENCY))
    case $CPU_MODEL in
    "" | ARMv*) CPU_MODEL=${BOARD:-${CPU_MODEL:-unknown}} ;; # every ARM core calls itself "ARMv8 Processor"
    esac
}

# How many CPUs a list such as "0-7,16" names.
list_length() {
    local part n=0 IFS=,
    for part in $1; do
        case $part in
        *-*) n=$((n + ${part#*-} - ${part%-*} + 1)) ;;
        ?*) n=$((n + 1)) ;;
        esac
    done
    echo "$n"
}

# Intel says which CPUs are its Atom cores; ARM gives each a capacity: little = under 2/3 of the biggest.
count_little_cpus() {
    local little file
    little=$(list_length "$(text_of "$ROOT/sys/devices/cpu_atom/cpus")")
    if [ "$little" = 0 ]; then
        little=$(for file in "$ROOT"/sys/devices/system/cpu/cpu[0-9]*/cpu_capacity; do text_of "$file"; done |
            sort -n | awk '{ c[NR] = $1 } END { for (i in c) if (3 * c[i] < 2 * c[NR]) n++; print n + 0 }')
    fi
    echo "$little"
}

detect_jetson() {
    local release compatible
    release=$(text_of "$ROOT/etc/nv_tegra_release")
    compatible=$(text_of "$ROOT/proc/device-tree/compatible")
    BOARD=$(text_of "$ROOT/proc/device-tree/model" | tr -d '\n')
    JETSON=0
    JETSON_L4T=$(sed -n 's/^# R\([0-9]*\).*REVISION: \([0-9.]*\).*/\1.\2/p' <<<"$release")
    JETSON_SOC=$(sed -n '/^nvidia,tegra[0-9]/{s/^nvidia,//p;q;}' <<<"$compatible")
    if [ -n "$release$JETSON_SOC" ]; then JETSON=1; fi
}

detect_nvidia() {
    local file
    NVIDIA=0
    # "... Kernel Module  550.54.14  Thu ..." or "... Open Kernel Module for x86_64  570.86.15  Release ..."
    NVIDIA_DRIVER=$(text_of "$ROOT/proc/driver/nvidia/version" |
        sed -nE 's/^NVRM[^.]*[^0-9.]([0-9]+\.[0-9.]+).*/\1/p')
    NVIDIA_GPUS=$(for file in "$ROOT"/proc/driver/nvidia/gpus/*/information; do text_of "$file" | field Model; done)
    if [ -z "$NVIDIA_DRIVER" ] && [ -e "$ROOT/usr/lib/wsl/lib/libcuda.so.1" ]; then NVIDIA_DRIVER=wsl; fi
    if [ -n "$NVIDIA_DRIVER$NVIDIA_GPUS" ] || has_pci_gpu 0x10de; then NVIDIA=1; fi
}

has_pci_gpu() { # VENDOR: a display device of it on the bus, whether or not a driver is loaded
    local device class vendor
    for device in "$ROOT"/sys/bus/pci/devices/*; do
        [ -r "$device/class" ] && [ -r "$device/vendor" ] || continue
        { read -r class <"$device/class"; read -r vendor <"$device/vendor"; } || true # no newline is no matter
        case $class-$vendor in 0x03*-"$1") return 0 ;; esac
    done
    return 1
}

detect_cuda() {
    local newest found=""
    newest=$(printf '%s\n' "$ROOT"/usr/local/cuda-*/bin/nvcc | sort -V | tail -n 1 || true)
    if [ "$DRAWN" = 0 ]; then found=${CUDACXX:-$(command -v nvcc || true)}; fi
    [ -n "$found" ] || found=$(first_existing "$ROOT/usr/local/cuda/bin/nvcc" "$newest" \
        "$ROOT/opt/cuda/bin/nvcc" "$ROOT/usr/bin/nvcc")
    NVCC=${found#"$ROOT"}
    CUDA_VERSION=$(cuda_version "$found")
}

cuda_version() { # NVCC
    local home=${1%/bin/nvcc} version
    [ -n "$1" ] || return 0
    version=$(text_of "$home/version.json" | tr -d '\n' | grep -o '"cuda"[[:space:]]*:[^}]*' |
        sed -n 's/.*"version"[[:space:]]*:[[:space:]]*"\([0-9.]*\)".*/\1/p' || true)
    [ -n "$version" ] || version=$(text_of "$home/version.txt" | sed -n 's/^CUDA Version \([0-9.]*\).*/\1/p')
    if [ -z "$version" ] && [ "$DRAWN" = 0 ]; then
        version=$("$1" --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\),.*/\1/p' || true)
    fi
    if [ -z "$version" ]; then case $home in *cuda-[0-9]*) version=${home##*cuda-} ;; esac; fi
    echo "$version"
}

detect_vulkan() {
    local file
    VULKAN_HEADERS=0 VULKAN_GPU=0 VULKAN_ICDS=""
    GLSLC=$(first_existing "$ROOT/usr/bin/glslc" "$ROOT/usr/local/bin/glslc")
    GLSLC=${GLSLC:-$(live_command glslc)}
    GLSLC=${GLSLC#"$ROOT"}
    # llama.cpp's Vulkan build needs the SPIR-V headers' CMake package besides vulkan.h
    if [ -e "$ROOT/usr/include/vulkan/vulkan.h" ] && [ -n "$(first_existing \
        "$ROOT"/usr/{local/,}{share,lib,lib64}/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake)" ]; then
        VULKAN_HEADERS=1
    fi
    for file in "$ROOT"/usr/share/vulkan/icd.d/* "$ROOT"/etc/vulkan/icd.d/*; do
        case $file in
        *'*' | */lvp_icd*) ;; # no such file; lavapipe draws on the CPU
        *) VULKAN_ICDS="${VULKAN_ICDS:+$VULKAN_ICDS$'\n'}${file##*/}" ;;
        esac
    done
    # Mesa installs drivers for GPUs that are not there: a render node (or NVIDIA's driver) tells that one is
    if [ -n "$VULKAN_ICDS" ] && { [ -n "$NVIDIA_DRIVER" ] ||
        [ -n "$(first_existing "$ROOT"/dev/dri/renderD*)" ]; }; then VULKAN_GPU=1; fi
}

# The newest Python that EdgeRoute runs on, else the newest older one; and uv.
detect_python() {
    local name found version
    PYTHON="" PYTHON_VERSION=""
    if [ "$DRAWN" = 1 ]; then
        UV=$(first_existing "$ROOT"/usr/{local/,}bin/uv "$ROOT"/{root,home/*}/.local/bin/uv)
    else
        UV=$(command -v uv || first_existing "${HOME:-}/.local/bin/uv")
    fi
    UV=${UV#"$ROOT"}
    for name in python3.13 python3.12 python3.11 python3 python3.10 python3.9 python3.8; do
        found=$(find_python "$name") || continue # "VERSION PATH"
        version=${found%% *}
        if [ -z "$PYTHON" ] || python_will_do "$version"; then PYTHON=${found#* } PYTHON_VERSION=$version; fi
        if python_will_do "$version"; then return; fi
    done
}

find_python() { # NAME; a drawn interpreter cannot run, so its name must tell the version
    local path
    if [ "$DRAWN" = 0 ]; then
        "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3], sys.executable)' 2>/dev/null
    else
        path=$(first_existing "$ROOT"/usr/{local/,}bin/"$1")
        [ -n "$path" ] && [ "$1" != python3 ] && echo "${1#python} ${path#"$ROOT"}"
    fi
}

python_will_do() { # VERSION
    case $1 in 3.[0-9] | 3.[0-9].* | 3.10 | 3.10.* | 2.* | "") return 1 ;; esac
}
