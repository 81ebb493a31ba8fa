#!/bin/sh
# What ansible/fleet.yml has done on a host. One verb a call; what it finds is told in lines `fleet.<name>=<value>`:
#
#   look      what this host is, what of FLEET_PACKAGES it lacks, and what an earlier call left
#   install   what of FLEET_PACKAGES is missing, after the state of the host has been written down
#   unpack    the tools from FLEET_DIRECTORY/archive, and their functions compiled for this CPU
#   start     the plan, apart from this connection: it goes on when the connection is lost, and ends by FLEET_TIMEOUT_S
#   wait N    for its end, N seconds at most
#   pack      what it has written, as parts of FLEET_PART_BYTES that can be fetched one by one
#   restore   the host, as it was before the first call but for packages
#
# Everything of ours lies in FLEET_DIRECTORY; `before` in it says what was there already, and is written once.
set -u

dir=${FLEET_DIRECTORY:?}
tree=$dir/tree
# What the tools make outside of it.
places="/var/lib/faasm-bench /run/faasm-bench ${FLEET_TUNE_ROOT:+$FLEET_TUNE_ROOT/run/faasm-bench}"
# The run is called by its host.
run=$dir/run/${FLEET_HOST:?}

tell() { printf 'fleet.%s=%s\n' "$1" "$2"; }

fail() {
    tell error "$1"
    exit 1
}

# The directory of the tools, wherever their archive has them.
tools() {
    for bin in "$tree/bin" "$tree/usr/bin" "$tree/usr/local/bin"; do
        if [ -x "$bin/runtime_bench" ]; then
            echo "$bin"
            return 0
        fi
    done
    return 1
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Python is what Ansible itself needs here.
missing() {
    command -v python3 >/dev/null 2>&1 || printf 'python3 '
    command -v dpkg-query >/dev/null 2>&1 || return 0
    for package in ${FLEET_PACKAGES-}; do
        is_installed "$package" || printf '%s ' "$package"
    done
}

# When process $1 began, in ticks since the boot: with its number it names a process, also after others had that number.
began() { cut -d ' ' -f 22 "/proc/$1/stat" 2>/dev/null; }

is_running() {
    [ -s "$dir/pid" ] || return 1
    read -r pid ticks <"$dir/pid"
    [ -n "$ticks" ] && [ "$(began "$pid")" = "$ticks" ]
}

tell_job() {
    if [ -s "$dir/exit" ]; then
        read -r code seconds <"$dir/exit"
        tell job ended
        tell exit "$code"
        tell seconds "$seconds"
        [ "$code" = 0 ] || tell said "$(grep -a '^error' "$dir/log" | tail -n 1)"
    elif is_running; then
        tell job running
    elif [ -e "$dir/pid" ]; then
        tell job gone
    else
        tell job none
    fi
}

look() {
    tell boot "$(cat /proc/sys/kernel/random/boot_id)"
    # The root directory tells two systems apart that share a kernel.
    tell root "$(stat -L -c %d:%i /)"
    tell kernel "$(uname -r)"
    tell machine "$(uname -m)"
    tell user "$(id -u)"
    tell missing "$(missing)"
    tell archive "$(cat "$tree/archive.sha256" 2>/dev/null)"
    tell key "$(cat "$dir/key" 2>/dev/null)"
    tell_job
}

remember() {
    mkdir -p "$dir" && chmod 755 "$dir" || fail "cannot make $dir"
    [ -e "$dir/before" ] && return
    {
        for path in $places; do
            [ -e "$path" ] && echo "there $path"
        done
        [ -e "${FLEET_TUNE_ROOT-}/run/faasm-bench/tune.json" ] && echo tuned
    } >"$dir/before.new"
    mv "$dir/before.new" "$dir/before"
}

install() {
    remember
    needed=$(missing)
    if [ -z "$needed" ]; then
        tell installed "$(cat "$dir/installed" 2>/dev/null)"
        return
    fi
    command -v apt-get >/dev/null 2>&1 || fail "missing: ${needed}(Debian names), and no apt-get: install them by this host's package manager"
    # A package's own service must not be started: a run starts an engine of its own.
    policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=1
    fi
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # a list of packages
    { apt-get install -y --no-install-recommends $needed ||
        { apt-get update && apt-get install -y --no-install-recommends $needed; }; } >"$dir/install.log" 2>&1
    status=$?
    [ -z "$made" ] || rm -f "$policy"
    for package in $needed; do
        is_installed "$package" && echo "$package"
    done >>"$dir/installed"
    tell installed "$(sort -u "$dir/installed" | tr '\n' ' ')"
    # Without python3 nothing goes on; without others rows read unavailable, with the reason.
    command -v python3 >/dev/null 2>&1 || fail "cannot install python3: $(tail -n 1 "$dir/install.log")"
    [ $status = 0 ] || tell warning "could not install ${needed% }: $(tail -n 1 "$dir/install.log")"
}

unpack() {
    digest=$(sha256sum "$dir/archive" | cut -d ' ' -f 1)
    [ "$digest" = "$(cat "$tree/archive.sha256" 2>/dev/null)" ] && return
    rm -rf "$tree" && mkdir -p "$tree" || fail "cannot make $tree"
    case $(head -c 7 "$dir/archive") in
    '!<arch>') said=$(dpkg-deb -x "$dir/archive" "$tree" 2>&1) ;;
    *) said=$(tar -xzf "$dir/archive" -C "$tree" --no-same-owner 2>&1) ;;
    esac || fail "cannot unpack the tools: $said"
    chmod -R go-w "$tree"
    bin=$(tools) || fail "the archive holds no runtime_bench"
    said=$("$bin/runtime_bench" --version 2>&1) || fail "the tools do not run here: $said"
    said=$("$bin/faasm-driver" codegen 2>&1) || tell warning "functions could not be compiled: $(echo "$said" | tail -n 1)"
    # Last: whoever sees it sees the whole tree.
    echo "$digest" >"$tree/archive.sha256"
}

start() {
    if [ -e "$dir/pid" ]; then
        # An earlier call's, of the same plan: it is waited for, or fetched, whatever became of it.
        if [ "$(cat "$dir/key" 2>/dev/null)" = "$FLEET_KEY" ]; then
            tell_job
            return
        fi
        is_running && fail "another plan is under way here, process $pid: wait for it, or end it with -e fleet_state=absent"
        fail "$dir/run holds what another plan wrote and nobody fetched: run that plan again to fetch it, or drop it with -e fleet_state=absent"
    fi
    bin=$(tools) || fail "the tools are not here"
    rm -rf "$dir/run" "$dir/exit" "$dir/log"
    # shellcheck disable=SC2086 # words of a plan
    set -- "$bin/runtime_bench" $FLEET_PLAN --seed "$FLEET_SEED" --output "$run"
    if [ "$FLEET_TUNE" = yes ]; then
        set -- "$bin/runtime_bench" tune ${FLEET_TUNE_ROOT:+--root "$FLEET_TUNE_ROOT"} run -- "$@"
    fi
    echo "$FLEET_KEY" >"$dir/key" || fail "cannot write to $dir"
    # A session and a group of its own. Its shell outlives SIGTERM to the group, to say how the tools ended by it.
    # shellcheck disable=SC2016 # of the inner shell
    setsid sh -c '
        cd "$1" && shift || exit
        trap : TERM
        began=$(date +%s)
        timeout --foreground --kill-after=60 "$FLEET_TIMEOUT_S" "$@" >log 2>&1
        echo "$? $(($(date +%s) - began))" >exit.new && mv exit.new exit
    ' job "$dir" "$@" >/dev/null 2>&1 </dev/null &
    echo "$! $(began $!)" >"$dir/pid.new" && mv "$dir/pid.new" "$dir/pid" || fail "cannot write to $dir"
    tell_job
}

# A connection that waits disturbs less than one that asks.
wait_for_end() {
    left=$1
    while [ "$left" -gt 0 ] && [ ! -s "$dir/exit" ] && is_running; do
        sleep 1
        left=$((left - 1))
    done
    tell_job
}

pack() {
    [ "$(cat "$dir/key" 2>/dev/null)" = "$FLEET_KEY" ] || fail "nothing of this plan is here"
    mkdir -p "$run" || fail "cannot make $run"
    [ ! -e "$dir/log" ] || cp -p "$dir/log" "$run/fleet.log"
    rm -rf "$dir/parts" && mkdir "$dir/parts" || fail "cannot make $dir/parts"
    # Sorted, so that the first parts hold run.json and the beginning of the samples; the same files make the same parts.
    tar --sort=name -C "$run" -cf - . | gzip -n | split -b "$FLEET_PART_BYTES" -d -a 5 - "$dir/parts/" || fail "cannot pack: is the disk full?"
    chmod -R a+rX "$dir/parts"
    tell parts "$(cd "$dir/parts" && echo *)"
}

end_job() {
    is_running || return 0
    kill -TERM -"$pid" 2>/dev/null
    wait_for_end 30 >/dev/null
    is_running && kill -KILL -"$pid" 2>/dev/null
    return 0
}

restore() {
    if [ ! -e "$dir/before" ]; then
        rm -rf "$dir"
        return
    fi
    end_job
    if bin=$(tools); then
        root=${FLEET_TUNE_ROOT:-/}
        if ! grep -qx tuned "$dir/before" && [ -e "${root%/}/run/faasm-bench/tune.json" ]; then
            said=$("$bin/runtime_bench" tune --root "$root" off 2>&1) || fail "still tuned: $(echo "$said" | tail -n 1)"
        fi
        for driver in process-driver faasm-driver microvm-driver docker-driver; do
            [ ! -x "$bin/$driver" ] || said=$("$bin/$driver" clean 2>&1) || tell warning "$driver clean: $(echo "$said" | tail -n 1)"
        done
    fi
    for path in $places; do
        grep -qxF "there $path" "$dir/before" || rm -rf --one-file-system "$path" || fail "cannot remove $path"
    done
    tell installed "$(sort -u "$dir/installed" 2>/dev/null | tr '\n' ' ')"
    [ "$FLEET_FETCHED" = yes ] || { tell kept "$dir"; return; }
    if [ "$FLEET_KEEP" = yes ]; then
        rm -rf "$dir/run" "$dir/parts" "$dir/exit" "$dir/pid" "$dir/log" "$dir/key"
        tell kept "$tree"
        return
    fi
    rm -rf --one-file-system "$dir" || fail "cannot remove $dir"
}

case ${1-} in
look | install | unpack | start | pack | restore) "$1" ;;
wait) wait_for_end "$2" ;;
*) fail "no such verb: ${1-}" ;;
esac
