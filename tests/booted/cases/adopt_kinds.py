"""Servers as the Docker image, the Ansible playbook, the NixOS module and guides for pip leave them are adopted with workers, and
restored. Their files are in `tests/adopted/`; Debian's package is the case `adopt`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import listing
from harness.checks import Checks
from harness.deployment import SERVER, SETTINGS, TOP, all_active, psql, state, talk
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host, Result

TREES = TOP / "tests/adopted"
PASSWORD = "a-password_of:postgres"
CONTAINER = "/usr/local/bin/container-stand-in"
# The workers of the preset `small` with main and what they need.
SMALL = {"synapse-workers.target", "synapse-main.service", "synapse-nginx.service", "synapse-redis.service",
         *(f"synapse-worker@{name}.service" for name in ("background1", "clients1", "streams1"))}
# Makes sure that no process of Synapse is left.
QUIET = "! pgrep --full --list-full '[s]ynapse.app'"


@dataclass(frozen=True)
class Kind:
    """A way to run Synapse."""

    # Also the name of its tree, of its role and of its database.
    name: str
    # Its account and group, which `make` creates if they have names, and the directories that belong to them.
    account: str
    owned: tuple[str, ...]
    # What `install` gets besides the workers.
    adopt: tuple[str, ...]
    # Starts and stops it; the first is also how the administrator gives back a server that no service starts.
    start: str
    stop: str
    # Its service, if uninstall starts it again.
    service: str | None
    role: str = ""
    # Shell commands of the administrator before its first start and after its removal.
    prepare: str = ""
    remove: str = ""
    # Units besides those of the preset.
    units: frozenset[str] = frozenset()
    # Lines of the settings file, and beginnings of notes.
    settings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


DOCKER = Kind(
    name="docker",
    account="991:991",
    owned=("/srv/synapse",),
    adopt=("--adopt", "/srv/synapse", "--adopt-paths", "/data=/srv/synapse"),
    start=f"systemd-run --quiet --unit=engine {CONTAINER} start synapse 991:991 /srv/synapse:/data",
    stop=f"{CONTAINER} stop synapse",
    service=None,
    prepare="echo 127.0.0.1 db >>/etc/hosts",
    remove="sed -i '/ db$/d' /etc/hosts; rm -r /srv/synapse",
    settings=("http_port: 8008", "uid: 991", "gid: 991", "media_store_path: /srv/synapse/media"),
    notes=("the listeners have addresses of the container", "the configuration names other containers: bridge, db"),
)
PLAYBOOK = Kind(
    name="playbook",
    account="matrix:matrix",
    owned=("/matrix",),
    adopt=("--adopt", "/matrix/synapse/config", "--adopt-service", "matrix-synapse.service", "--adopt-paths",
           "/data=/matrix/synapse/config,/matrix-media-store-parent=/matrix/synapse/storage"),
    start="systemctl enable --quiet --now matrix-synapse",
    stop="systemctl disable --quiet --now matrix-synapse",
    service="matrix-synapse.service",
    prepare="echo 127.0.0.1 matrix-postgres >>/etc/hosts; chmod 750 /matrix",
    remove="sed -i '/ matrix-postgres$/d' /etc/hosts; rm -r /matrix",
    settings=("http_federation_port: 8048", "service: matrix-synapse.service", "user: matrix"),
    notes=("enable_metrics: ", "listener manhole on port 9000 is not imported"),
)
NIXOS = Kind(
    name="nixos",
    account="matrix-synapse:matrix-synapse",
    owned=("/var/lib/matrix-synapse",),
    adopt=("--adopt", "/nix/store/0c4yd9k-homeserver.yaml"),
    start="systemctl enable --quiet --now matrix-synapse",
    stop="systemctl disable --quiet --now matrix-synapse",
    service="matrix-synapse.service",
    role="matrix-synapse",
    prepare="chmod 600 /var/lib/matrix-synapse/secrets",
    remove="rm -rf /nix /var/lib/matrix-synapse /run/matrix-synapse",
    settings=("listen_unix_socket: /run/matrix-synapse/main.sock", '- "/var/lib/matrix-synapse/secrets"'),
    notes=("listener http at /run/matrix-synapse/main_replication.sock is not imported",),
)
PIP = Kind(
    name="pip",
    account="synapse-pip:synapse-pip",
    owned=("/opt/synapse",),
    adopt=("--adopt", "/opt/synapse"),
    start="systemctl enable --quiet --now synapse",
    stop="systemctl disable --quiet --now synapse",
    service="synapse.service",
    prepare="""
        ln -s /opt/venvs/matrix-synapse /opt/synapse/env
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=example.test \
            -keyout /opt/synapse/example.test.tls.key -out /opt/synapse/example.test.tls.crt 2>/dev/null
        """,
    remove="rm -r /opt/synapse",
    settings=("port: 8448", "federation_port: 8448", "sslmode: prefer", "user: synapse-pip"),
    notes=("log_config: ",),
    units=frozenset({"synapse-certificate.path"}),
)


def test_adopt_kinds(host: Host, check: Checks) -> None:
    """Servers of Docker, the playbook, NixOS and pip are adopted with workers, and restored."""
    host.push(TREES / "container-stand-in", CONTAINER)
    for kind, more in ((DOCKER, docker), (PLAYBOOK, playbook), (NIXOS, nixos), (PIP, pip)):
        try:
            with check(f"{kind.name}: a server serves users", vital=True):
                make(host, kind)
                serves(host)
            adopted(host, check, kind, more)
        finally:
            unmake(host, kind)
    host.run("rm", CONTAINER)
    with check("after the removal of the servers the host is as before"):
        listing.assert_equal(host.before, listing.everything(host), "afterwards")


def adopted(host: Host, check: Checks, kind: Kind, more: Callable[[Host, Checks, Kind], None]) -> None:
    theirs = files(host, kind)
    if kind == DOCKER:
        refused_while_it_runs(host, check, kind)
    elif kind == PLAYBOOK:
        wrong_service(host, check, kind)
    elif kind == PIP:
        refused_with_workers(host, check, kind)
    with check(f"{kind.name}: install --adopt with workers succeeds", vital=True) as note:
        result = install(host, kind)
        assert_contains(result.out, *(f"note: {text}" for text in kind.notes))
        note(f"{result.seconds:.1f} s")
    with check(f"{kind.name}: tokens, messages and media work behind nginx and workers"):
        serves(host)
        all_active(host, SMALL | kind.units)
        text = host.read(SETTINGS)
        for line in kind.settings:
            assert re.search(f"^ *{re.escape(line)}$", text, re.M), f"no {line!r} in:\n{text}"
        assert PASSWORD not in text + result.out + result.err
        assert_equal(files(host, kind), theirs, "files of the old server")
    more(host, check, kind)
    with check(f"{kind.name}: uninstall gives the server back, and it serves its users", vital=True) as note:
        result = host.product("uninstall", "--purge", "--confirm", SERVER, "--yes")
        if kind.service is None:
            host.shell(QUIET)
            host.shell(kind.start)
        else:
            assert_contains(result.out, f"! start   {kind.service}", f"+ enable  {kind.service}")
            assert_equal(host.run("systemctl", "is-enabled", kind.service).out.strip(), "enabled", kind.service)
        serves(host)
        assert_equal(host.units(), {}, "units")
        assert_equal(files(host, kind), theirs, "files of the old server")
        note(f"{result.seconds:.1f} s")


def refused_while_it_runs(host: Host, check: Checks, kind: Kind) -> None:
    with check(f"{kind.name}: a container that runs, and paths of a container, are refused with the remedy"):
        refusal = host.product("install", *kind.adopt, "--preset", "small", "--yes", expect=(65,)).err
        assert_contains(refusal, "which is not part of a systemd service", "docker stop", "--adopt-service")
        serves(host)
        host.shell(kind.stop)
        refusal = host.product("install", *kind.adopt[:2], "--preset", "small", "--yes", expect=(65,)).err
        assert_contains(refusal, f"{kind.adopt[1]}/homeserver.yaml {' '.join(kind.adopt[2:])}")
    with check(f"{kind.name}: a directory that only root can enter, like those of Docker's volumes, is refused with the remedy"):
        host.shell("chmod 710 /srv")
        refusal = host.product("install", *kind.adopt, "--preset", "small", "--yes", expect=(65,)).err
        assert_contains(refusal, "Synapse runs as user ID 991, which cannot enter /srv,", "mount --bind /srv/synapse")
        host.shell("chmod 755 /srv")


def wrong_service(host: Host, check: Checks, kind: Kind) -> None:
    with check(f"{kind.name}: a service that does not start the server is recognised, and the run is rolled back") as note:
        host.shell("systemd-run --quiet --unit=other sleep infinity")
        result = host.product("install", *(word.replace("matrix-synapse", "other") for word in kind.adopt), "--workers", "", "--yes",
                              expect=(1,))
        assert_contains(result.err, "other.service has stopped, and the adopted Synapse still runs as process", "--adopt-service")
        serves(host)
        assert_equal(host.units(), {}, "units")
        assert_equal(host.path(SETTINGS).exists(), False, "settings file")
        host.shell("systemctl stop other 2>/dev/null || true")
        note(f"{result.seconds:.1f} s")


def refused_with_workers(host: Host, check: Checks, kind: Kind) -> None:
    with check(f"{kind.name}: a worker of the server that runs is refused with the command that stops it"):
        host.shell("systemd-run --quiet --unit=old-worker python3 -c 'import time; time.sleep(600)' "
                   "-m synapse.app.generic_worker -c /opt/synapse/homeserver.yaml")
        refusal = host.product("install", *kind.adopt, "--preset", "small", "--yes", expect=(65,)).err
        assert_contains(refusal, "run: old-worker.service", "systemctl disable --now old-worker.service")
        host.run("systemctl", "stop", "old-worker")


def docker(host: Host, check: Checks, kind: Kind) -> None:
    with check(f"{kind.name}: nginx opens no port beyond this host"):
        assert_equal(open_ports(host, "nginx"), set(), "open ports of nginx")


def playbook(host: Host, check: Checks, kind: Kind) -> None:
    with check(f"{kind.name}: the ports of the metrics and of the manhole are closed"):
        assert_equal(open_ports(host, "nginx") | open_ports(host, "python"), set(), "open ports")


def nixos(host: Host, check: Checks, kind: Kind) -> None:
    with check(f"{kind.name}: nginx serves at the Unix socket of the old server"):
        assert_contains(host.run("curl", "-sS", "--unix-socket", "/run/matrix-synapse/main.sock",
                                 "http://localhost/_matrix/client/versions").out, "v1.1")


def pip(host: Host, check: Checks, kind: Kind) -> None:
    with check(f"{kind.name}: the one port with TLS serves clients and servers"):
        for path in ("client/versions", "federation/v1/version"):
            host.run("curl", "-sSfk", "--output", "/dev/null", f"https://127.0.0.1:8448/_matrix/{path}")


def open_ports(host: Host, program: str) -> set[str]:
    """The addresses at which processes with this name accept connections from other hosts, but for the distribution's nginx."""
    lines = host.shell('ss --no-header --listening --tcp --numeric --processes | grep -F "$1" || true', f'"{program}').out
    addresses = {line.split()[3] for line in lines.splitlines()}
    return {address for address in addresses if not address.startswith(("127.0.0.1:", "[::1]:")) and not address.endswith(":80")}


def install(host: Host, kind: Kind) -> Result:
    return host.product("install", *kind.adopt, "--preset", "small", "--yes")


def serves(host: Host) -> None:
    """The old users can talk. A container, unlike a service, does not report when it is ready."""
    wait_until("a server", lambda: host.run("curl", "-sf", "--output", "/dev/null", "http://127.0.0.1:8008/health",
                                            expect=(0, 7, 22, 52, 56)).code == 0)
    talk(host)


def files(host: Host, kind: Kind) -> str:
    """Contents, ownership and permissions of the files of the administrator."""
    tree = TREES / kind.name
    paths = [f"/{path.relative_to(tree)}" for path in sorted(tree.rglob("*")) if path.is_file()]
    return host.shell("stat --format '%n %u:%g %a' \"$@\"; sha256sum \"$@\"", *paths).out


def make(host: Host, kind: Kind) -> None:
    """The files, the account, the database, and a running server."""
    tree = TREES / kind.name
    for path in sorted(tree.rglob("*")):
        if path.is_file():
            host.write(f"/{path.relative_to(tree)}", path.read_text(encoding="utf-8"))
    user, _ = kind.account.split(":")
    role = kind.role or kind.name
    psql(host, f"create role \"{role}\" login password '{PASSWORD}'")
    psql(host, f"create database \"{role}\" owner \"{role}\" encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0")
    host.shell('[ "$1" = 991 ] || useradd --system --user-group --no-create-home "$1"', user)
    host.shell(kind.prepare)
    host.shell('account=$1; shift; chown --recursive --no-dereference "$account" "$@"', kind.account, *kind.owned)
    host.shell(f"systemctl daemon-reload; {kind.start}")


def unmake(host: Host, kind: Kind) -> None:
    """Removes what `make` made, also after a failure in the middle."""
    role = kind.role or kind.name
    user, _ = kind.account.split(":")
    host.shell(f"{kind.stop} || true")
    host.shell(kind.remove)
    for unit in sorted((TREES / kind.name / "etc/systemd/system").glob("*")):
        host.run("rm", f"/etc/systemd/system/{Path(unit).name}")
    host.shell('systemctl daemon-reload; systemctl reset-failed; [ "$1" = 991 ] || userdel "$1"', user)
    psql(host, f'drop database if exists "{role}" with (force)')
    psql(host, f'drop role if exists "{role}"')
    state(host, "talk").unlink(missing_ok=True)
