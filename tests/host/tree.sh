# The tree: a Debian with everything a homeserver needs, built once and kept. Sourced by `host`.
#
# Its name carries a hash of the recipe, so a changed recipe is another tree; it is built under a temporary name and
# renamed at the end, so an interrupted build never counts. What this machine needs to reach the archives (proxy,
# certificates, pip's configuration) is lent to the build and taken away again.

SUITE=${SUITE:-trixie}
CACHE=${SYNAPSE_WORKERS_CACHE:-/var/cache/synapse-workers-test}

tree_path() {
    local key
    key=$(cat "$HERE/tree.sh" "$HERE/recipe" | sha256sum | cut -c1-12)
    echo "$CACHE/$SUITE-$key"
}

# Prints the path of the tree, building it first where it is missing.
tree() {
    local tree
    tree=$(tree_path)
    if [[ ! -d $tree ]]; then
        mkdir -p "$CACHE"
        (
            flock 9
            [[ -d $tree ]] || tree_build "$tree"
        ) 9>"$CACHE/.lock" >&2
    fi
    echo "$tree"
}

tree_build() {
    local tree=$1 new=$CACHE/.building log=$CACHE/build.log began=$SECONDS
    say "building a Debian tree ($SUITE) in $tree, once; the log is $log"
    "$HERE/needs"
    rm -rf --one-file-system "$new"
    mkdir -p "$new"
    chmod 755 "$new"
    if ! { tree_debootstrap "$new" && tree_lend "$new" && tree_recipe "$new"; } >"$log" 2>&1; then
        tail -n 30 "$log"
        die "the tree was not built; the whole log is $log"
    fi
    rm -rf "$new/lent" "$new/etc/resolv.conf"
    tree_forget_older "$tree"
    mv "$new" "$tree"
    say "built in $((SECONDS - began)) s, $(du -sh "$tree" | cut -f1)"
}

tree_debootstrap() {
    # debootstrap fetches with wget, which does not know apt's proxy.
    local proxy=
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    http_proxy=${http_proxy:-$proxy} debootstrap --variant=minbase "$SUITE" "$1"
}

# What this machine uses to reach apt's and pip's archives, in /lent, as files and as variables in /lent/environment.
tree_lend() {
    local lent=$1/lent name file bundle
    mkdir -m 700 "$lent"
    apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries|Force)' >"$lent/apt.conf" || true
    bundle=${SSL_CERT_FILE:-${PIP_CERT:-${REQUESTS_CA_BUNDLE:-}}}
    {
        for name in $(compgen -e | grep -E '^PIP_|_proxy$|_PROXY$'); do
            [[ $name == PIP_CERT || $name == PIP_CONFIG_FILE ]] || echo "export $name=${!name@Q}"
        done
        for file in "${PIP_CONFIG_FILE:-}" ~/.config/pip/pip.conf ~/.pip/pip.conf /etc/pip.conf; do
            [[ -f $file ]] || continue
            cp "$file" "$lent/pip.conf"
            echo "export PIP_CONFIG_FILE=/lent/pip.conf"
            break
        done
        if [[ -f $bundle ]]; then
            cp -L "$bundle" "$lent/ca.crt"
            echo "export SSL_CERT_FILE=/lent/ca.crt PIP_CERT=/lent/ca.crt REQUESTS_CA_BUNDLE=/lent/ca.crt"
        fi
    } >"$lent/environment"
}

# Runs the recipe in the tree, in namespaces of its own: no mount or process can outlive it.
tree_recipe() {
    install -m 755 "$HERE/recipe" "$1/lent/recipe"
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --pid --fork --kill-child sh -ec '
        mount -t proc proc "$1/proc"
        mkdir -p "$1/dev/shm"
        mount -t tmpfs tmpfs "$1/dev/shm"
        mount -t tmpfs tmpfs "$1/tmp"
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 chroot "$1" /lent/recipe
    ' sh "$1" </dev/null
}

# Older trees of this suite, unless a host still stands on one.
tree_forget_older() {
    local old
    for old in "$CACHE/$SUITE"-*; do
        [[ -d $old && $old != "$1" ]] || continue
        grep -qxsF "$old" "$RUN"/*/tree || rm -rf --one-file-system "$old"
    done
}
