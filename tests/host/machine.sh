# A host: a throw-away layer over the tree, and the systemd that was booted in it. Sourced by `host`.
#
# Everything of host NAME is in $RUN/NAME:
#   tree        path of the tree below its layer   keeper   pid of the `keeper` that runs it, and its lock
#   layer/      overlay's upper and work           leader   pid of the guest's PID 1, while it runs
#   root/       the merged root                    cgroup   the cgroup of keeper, nspawn and guest
#   net         number of its veth pair, if any    console  output of nspawn and the guest's console

RUN=${SYNAPSE_WORKERS_RUN:-/var/lib/synapse-workers-test}
# A part of the names of machines and cgroups, so that hosts of the same name in two directories are separate.
FAMILY=$(basename "$RUN")
# In seconds. A boot takes a few; a stop may take as long as the timeouts of the units.
BOOT_TIMEOUT=${SYNAPSE_WORKERS_BOOT_TIMEOUT:-180}
STOP_TIMEOUT=${SYNAPSE_WORKERS_STOP_TIMEOUT:-120}

# await SECONDS COMMAND…: waits until the command succeeds; fails after this time.
await() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < until)) || return 1
        sleep 0.05
    done
}

# The keeper locks the file with its pid, so another process that has the same pid later does not count.
alive() { [[ -s $RUN/$1/keeper ]] && ! flock --nonblock --shared "$RUN/$1/keeper" true; }
gone() { ! alive "$1"; }

leader() {
    alive "$1" || die "host $1 does not run; help: host list"
    [[ -s $RUN/$1/leader ]] || die "host $1 has no PID 1 at the moment; it boots or shuts down"
    cat "$RUN/$1/leader"
}

# The layer is on disk, unless the disk is an overlay itself, which cannot be the upper layer of another one. It need
# not survive a crash of this machine, so `volatile` omits its fsync.
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

# Starts the keeper so that it outlives this shell. If systemd runs this machine, it must delegate the cgroup.
machine_start() {
    local name=$1 dir=$RUN/$1
    rm -f "$dir/leader"
    if [[ -d /run/systemd/system ]]; then
        systemd-run --quiet --collect --unit="$FAMILY-$name" --property=Delegate=yes \
            --property=KillMode=mixed "$HERE/keeper" "$dir" "$name"
    else
        setsid "$HERE/keeper" "$dir" "$name" </dev/null &>>"$dir/console" &
        disown
    fi
    await 10 alive "$name" || { machine_console "$name"; die "host $name: its keeper did not start"; }
}

# Sets STATE to the guest's own state, such as "running" or "degraded"; fails while it boots.
booted() {
    local name=$1
    gone "$name" && return 0
    [[ -s $RUN/$name/leader && -S /proc/$(<"$RUN/$name/leader")/root/run/systemd/private ]] || return 1
    STATE=$(enter "$name" systemctl is-system-running --wait 2>/dev/null </dev/null) || true
    [[ $STATE != "" && $STATE != offline && $STATE != initializing && $STATE != starting ]]
}

# Waits until the guest has booted; succeeds only in the state "running".
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
    journalctl --quiet --no-pager --root="$RUN/$name/root" --boot --priority=warning --lines=40 >&2 || true
    say "$name: did not boot: ${STATE:-its systemd did not answer}"
    return 1
}

machine_console() {
    say "$1: the end of its console:"
    tail -n 40 "$RUN/$1/console" >&2 || true
}

# Powers the guest off (SIGRTMIN+4 is systemd's poweroff), unless the second argument is "now". Then kills every process
# in the host's cgroup.
machine_end() {
    local name=$1 dir=$RUN/$1
    if [[ ${2:-} != now && -s $dir/leader ]] && alive "$name"; then
        kill -s RTMIN+4 "$(<"$dir/leader")" 2>/dev/null || true
        await "$STOP_TIMEOUT" gone "$name" || say "$name: did not power off within $STOP_TIMEOUT s and is killed"
    fi
    [[ -s $dir/cgroup && -e $(<"$dir/cgroup")/cgroup.kill ]] || return 0
    echo 1 >"$(<"$dir/cgroup")/cgroup.kill"
    await 20 empty "$(<"$dir/cgroup")" || die "host $name: some of its processes do not end"
}
empty() { ! grep -qsx 'populated 1' "$1/cgroup.events"; }

machine_remove() {
    local dir=$RUN/$1 point group
    # nspawn removes these itself unless it is killed.
    point=/run/systemd/nspawn/unix-export/$FAMILY-$1
    if mountpoint -q "$point"; then umount "$point"; fi
    rm -rf "$point" "/run/systemd/nspawn/propagate/$FAMILY-$1"
    rm -f "/run/systemd/nspawn/locks/$(stat --format='inode-%d:%i' "$dir/root")"
    for point in "$dir/root" "$dir/layer"; do
        if mountpoint -q "$point"; then umount "$point"; fi
    done
    # nspawn creates the same cgroups in systemd's v1 hierarchy, if the machine has one.
    for group in "$(cat "$dir/cgroup" 2>/dev/null)" "/sys/fs/cgroup/systemd/$FAMILY-$1"; do
        if [[ -d $group ]]; then find "$group" -depth -type d -exec rmdir {} \;; fi
    done
    rm -rf --one-file-system "$dir"
    rmdir "$RUN" 2>/dev/null || true
}

# Prints the first free number of a veth pair. Each number has a private /30 and an interface name.
machine_net() {
    local n
    for n in {0..63}; do
        [[ -e /sys/class/net/swtest$n ]] || { echo "$n"; return; }
    done
    die "no veth number is free; help: host list, then host stop NAME"
}
