# A host: a throw-away layer over the tree, and the systemd that was booted in it. Sourced by `host`.
#
# Everything of host NAME is in $RUN/NAME:
#   tree        path of the tree it stands on      keeper   pid of the `keeper` that runs it, and its lock
#   layer/      overlay's upper and work           leader   pid of the guest's PID 1, while it runs
#   root/       the merged root                    cgroup   where keeper, nspawn and guest are
#   net         number of its veth pair, if any    console  what nspawn and the guest's console said

RUN=${SYNAPSE_WORKERS_RUN:-/var/lib/synapse-workers-test}
# Machines and cgroups bear it: hosts of one name in two directories have nothing to do with each other.
FAMILY=$(basename "$RUN")
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

# The keeper holds a lock on the file that has its pid, so a pid that went to another process is never taken for it.
alive() { [[ -s $RUN/$1/keeper ]] && ! flock --nonblock --shared "$RUN/$1/keeper" true; }
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
        systemd-run --quiet --collect --unit="$FAMILY-$name" --property=Delegate=yes \
            --property=KillMode=mixed "$HERE/keeper" "$dir" "$name"
    else
        setsid "$HERE/keeper" "$dir" "$name" </dev/null &>>"$dir/console" &
        disown
    fi
    await 10 alive "$name" || { machine_console "$name"; die "host $name: its keeper did not start"; }
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
    journalctl --quiet --no-pager --root="$RUN/$name/root" --boot --priority=warning --lines=40 >&2 || true
    say "$name: did not boot: ${STATE:-its systemd gave no answer}"
    return 1
}

machine_console() {
    say "$1: the end of its console:"
    tail -n 40 "$RUN/$1/console" >&2 || true
}

# Orderly (SIGRTMIN+4 is systemd's poweroff) unless "now" is said, then by force: all that is in the host's cgroup.
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
    # nspawn removes its own when it is not killed.
    point=/run/systemd/nspawn/unix-export/$FAMILY-$1
    if mountpoint -q "$point"; then umount "$point"; fi
    rm -rf "$point" "/run/systemd/nspawn/propagate/$FAMILY-$1"
    rm -f "/run/systemd/nspawn/locks/$(stat --format='inode-%d:%i' "$dir/root")"
    for point in "$dir/root" "$dir/layer"; do
        if mountpoint -q "$point"; then umount "$point"; fi
    done
    # nspawn makes the same cgroups in systemd's v1 hierarchy where there is one.
    for group in "$(cat "$dir/cgroup" 2>/dev/null)" "/sys/fs/cgroup/systemd/$FAMILY-$1"; do
        if [[ -d $group ]]; then find "$group" -depth -type d -exec rmdir {} \;; fi
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
