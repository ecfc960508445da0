# A host: a throw-away layer over the tree, and the systemd that was booted in it. Sourced by `host`.
#
# Everything of host NAME is in $RUN/NAME:
#   tree        path of the tree it stands on      keeper   pid and start time of the `keeper` that runs it
#   layer/      overlay's upper and work           leader   pid of the guest's PID 1, while it runs
#   root/       the merged root                    console  what nspawn and the guest's console said
#   net         number of its veth pair, if any

RUN=${SYNAPSE_WORKERS_RUN:-/var/lib/synapse-workers-test}
# Seconds: a boot with everything in it takes a few, a stop waits for what the units' own timeouts allow.
BOOT_TIMEOUT=${SYNAPSE_WORKERS_BOOT_TIMEOUT:-180}
STOP_TIMEOUT=${SYNAPSE_WORKERS_STOP_TIMEOUT:-120}

# await SECONDS COMMAND…: until the command succeeds; fails when the seconds are over.
await() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < until)) || return 1
        sleep 0.05
    done
}

# "PID STARTTIME": the second tells a process from a later one with the same pid.
identity() { sed 's/^\([0-9]*\) .*) /\1 /' "/proc/$1/stat" | cut -d' ' -f1,21; }

alive() { # of the keeper
    local pid start
    read -r pid start 2>/dev/null <"$RUN/$1/keeper" && [[ $(identity "$pid" 2>/dev/null) == "$pid $start" ]]
}
gone() { ! alive "$1"; }

leader() {
    alive "$1" || die "host $1 does not run; \`host list\` shows those that do"
    [[ -s $RUN/$1/leader ]] || die "host $1 has no PID 1 at the moment, it boots or shuts down"
    cat "$RUN/$1/leader"
}

# The layer lies on disk unless the disk is itself an overlay, which cannot carry another one. It is volatile:
# nobody wants it back after a crash of this machine, so its fsync is free.
machine_mount() {
    local dir=$1 tree=$2
    mkdir -p "$dir/layer/upper" "$dir/layer/work" "$dir/root"
    local options="volatile,lowerdir=$tree,upperdir=$dir/layer/upper,workdir=$dir/layer/work"
    if ! mount -t overlay "synapse-workers-test" -o "$options" "$dir/root" 2>/dev/null; then
        mount -t tmpfs tmpfs "$dir/layer"
        mkdir "$dir/layer/upper" "$dir/layer/work"
        mount -t overlay "synapse-workers-test" -o "$options" "$dir/root"
    fi
}

machine_personality() {
    local name=$1 root=$RUN/$1/root
    echo "$name" >"$root/etc/hostname"
    printf '127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\t%s\n' "$name" >"$root/etc/hosts"
    tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
}

# Starts the keeper so that it outlives this shell. Where systemd runs the machine it must give the cgroup.
machine_start() {
    local name=$1 dir=$RUN/$1
    rm -f "$dir/leader"
    if [[ -d /run/systemd/system ]]; then
        systemd-run --quiet --collect --unit="synapse-workers-test-$name" --property=Delegate=yes \
            --property=KillMode=mixed "$HERE/keeper" "$dir" "$name"
    else
        setsid "$HERE/keeper" "$dir" "$name" </dev/null &>>"$dir/console" 9>&- &
    fi
    await 10 test -s "$dir/keeper" || { machine_console "$name"; die "host $name: its keeper did not start"; }
}

# The guest's own answer: "running", "degraded", …; fails while it boots or when it is gone.
booted() {
    local name=$1
    gone "$name" && return 0
    [[ -s $RUN/$name/leader && -S /proc/$(<"$RUN/$name/leader")/root/run/systemd/private ]] || return 1
    STATE=$(enter "$name" systemctl is-system-running --wait 2>/dev/null </dev/null) || true
    [[ $STATE != "" && $STATE != offline && $STATE != initializing && $STATE != starting ]]
}

# Waits until the guest is up; 0 only for "running".
machine_wait() {
    local name=$1 began=$2 STATE=
    await "$BOOT_TIMEOUT" booted "$name" || true
    if [[ $STATE == running ]]; then
        say "$name: running after $(elapsed "$began") s"
        return 0
    fi
    machine_console "$name"
    if alive "$name" && [[ -s $RUN/$name/leader ]]; then
        enter "$name" systemctl --no-pager --failed </dev/null >&2 || true
    fi
    journalctl --quiet --no-pager --root="$RUN/$name/root" --priority=warning --lines=40 >&2 || true
    say "$name: did not boot: ${STATE:-its systemd gave no answer}"
    return 1
}

machine_console() {
    say "$1: the end of its console, $RUN/$1/console:"
    tail -n 40 "$RUN/$1/console" >&2 || true
}

# Orderly (SIGRTMIN+4 is systemd's poweroff), then by force; either way the keeper ends when the guest has.
machine_end() {
    local name=$1 pid start
    gone "$name" && return 0
    read -r pid start <"$RUN/$name/keeper"
    if [[ -s $RUN/$name/leader ]]; then
        kill -s RTMIN+4 "$(<"$RUN/$name/leader")" 2>/dev/null || true
        await "$STOP_TIMEOUT" gone "$name" && return 0
        say "$name: did not power off within $STOP_TIMEOUT s and is killed"
    fi
    kill -s TERM "$pid" 2>/dev/null || true # the keeper kills nspawn, and with it the guest
    await 20 gone "$name" || die "host $name: its keeper, pid $pid, does not end"
}

machine_remove() {
    local dir=$RUN/$1 point
    for point in "$dir/root" "$dir/layer"; do
        mountpoint -q "$point" && umount "$point"
    done
    rm -rf --one-file-system "$dir"
    rmdir "$RUN" 2>/dev/null || true
}

# Numbers veth pairs: one private /30 and one interface name each, the first that is free.
machine_net() {
    local n
    for n in {0..63}; do
        [[ -e /sys/class/net/swtest$n ]] || { echo "$n"; return; }
    done
    die "no veth number is free: end some hosts, \`host list\` shows them"
}
