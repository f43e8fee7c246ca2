# shellcheck shell=bash
# Talking to the user, running long commands with a log and a counter, the lock. Sourced by setup_hw.sh.

STEPS=7
STEP=0
JOB=""      # process group of the command under way
JOB_START=0 # where its output begins in the log

say() { printf '%s\n' "$@" >&2; } # one line each

die() {
    say "$@"
    exit 1
}

step() {
    STEP=$((STEP + 1))
    say "[$STEP/$STEPS] $*"
}

start_log() {
    rm -rf "$CACHE/tmp" # left by a killed run; the lock is ours
    mkdir -p "$CACHE/tmp"
    printf '# %s, log of %s\n' "$(date)" "$CHECKOUT/setup_hw.sh" >"$LOG"
}

job_output() { tail -c +$((JOB_START + 1)) "$LOG"; }

# The build's own counter, ninja's [n/m] or make's [ n%].
counter() { job_output | tail -c 20000 | LC_ALL=C grep -aoE '\[ *[0-9]+(/[0-9]+|%)\]' | tail -n 1 || true; }

# Live on a terminal; elsewhere one line every half minute.
watch_job() { # WHAT
    local began=$SECONDS shown=$SECONDS
    while kill -0 "$JOB" 2>/dev/null; do
        sleep 0.2
        if [ -t 2 ] && [ "$SECONDS" != "$shown" ]; then
            printf '\r\033[K      %s %s %ds' "$1" "$(counter)" $((SECONDS - began)) >&2
            shown=$SECONDS
        elif [ $((SECONDS - shown)) -ge 30 ]; then
            say "      $1 $(counter) $((SECONDS - began))s"
            shown=$SECONDS
        fi
    done
    [ ! -t 2 ] || printf '\r\033[K' >&2
}

# logged WHAT ADVICE COMMAND...: runs it with its output in the log; a failure shows the log's end and ADVICE.
logged() {
    local what=$1 advice=$2 code=0
    shift 2
    mkdir -p "$CACHE/tmp"
    printf '\n### %s: %s\n' "$what" "$*" >>"$LOG"
    JOB_START=$(wc -c <"$LOG")
    set -m # a process group of its own, so that an interrupt reaches compilers as well
    TMPDIR=$CACHE/tmp "$@" >>"$LOG" 2>&1 </dev/null &
    JOB=$!
    set +m
    watch_job "$what"
    wait "$JOB" || code=$?
    JOB=""
    [ "$code" = 0 ] || explain_failure "$what (exit code $code)" "$advice"
}

explain_failure() { # WHAT ADVICE
    local first
    first=$(job_output | grep -aE -A 5 -m 1 'CMake Error|error: |Error: |FAILED: |Killed' || true)
    say "" "failed: $1. The end of $LOG:" ""
    job_output | tail -n 20 | shortened
    if [ -n "$first" ]; then
        say "" "The first error in it:" ""
        shortened <<<"$first"
    fi
    die "" "What to do: $2" "Then run the same command again: it goes on from here."
}

shortened() { cut -c 1-300 | sed 's/^/    /' >&2; }

interrupted() {
    trap '' INT TERM HUP
    if [ -n "$JOB" ]; then
        kill -INT -- "-$JOB" 2>/dev/null || true # pip cleans up after itself on this one
        sleep 1
        kill -KILL -- "-$JOB" 2>/dev/null || true
    fi
    say "" "interrupted. Run the same command again: it goes on from here."
    exit "$1"
}

# flock(1) where it is (Linux), else the same call through Python (macOS); $1 is "" or -n.
flock_9() {
    if command -v flock >/dev/null; then
        flock ${1:+"$1"} 9
    elif command -v python3 >/dev/null; then
        python3 -c 'import fcntl, sys; fcntl.flock(9, fcntl.LOCK_EX | (fcntl.LOCK_NB if sys.argv[1] else 0))' \
            "${1:-}" 2>/dev/null
    fi
}

# One setup at a time: two runs must not build the same wheel or fill the same .venv.
take_lock() {
    mkdir -p "$CACHE" || die "cannot create $CACHE; choose another folder: EDGEROUTE_CACHE_DIR=DIR ./setup_hw.sh"
    exec 9>"$CACHE/lock"
    flock_9 -n || { say "another setup is at work; waiting for it"; flock_9; }
}

release_lock() { exec 9>&-; } # what we start next (a daemon) must not hold it

sha256() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi | cut -d ' ' -f 1; }

check_sha256() { # FILE SHA256
    [ "$(sha256 "$1")" = "$2" ] ||
        die "$1 is not the file it should be: its sha256 differs from $2." \
            "Delete it and run again; if it happens again, your package index serves another file."
}
