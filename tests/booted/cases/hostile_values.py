"""Settings full of characters that mean something in YAML, nginx, units and shells: used literally or refused."""

import json
from typing import Any

from harness import listing
from harness.checks import Checks
from harness.deployment import SERVER, add_test_options, purge, talk, worker, write_settings
from harness.expect import assert_contains, assert_equal
from harness.host import Host

# A blank, a systemd specifier, a quote of each kind, an end of an nginx directive, variables of nginx and the shell,
# a comment, a YAML mapping and an alias, a backslash; a value may have those that its type allows.
PATHS = (
    "/srv/plain", "/srv/a b", "/srv/100%n", '/srv/say "x"', "/srv/it's", "/srv/a;b", "/srv/$HOME/${x}", "/srv/a#b # c",
    "/srv/a: b", "/srv/*x&y", "/srv/{a}", "/srv/back\\slash", "/srv/\u00fc\u00f1\u6f22",
    "/srv/a b%i\";$x'#\\",
)
INJECTIONS = {
    "media_store_path": ("/srv/x\nEnvironment=A=b", "/srv/x\nx: y", "/srv/\x07"),
    "server_name": ("a.test; return 200", "a.test\nlisteners: []", 'a.test"'),
    "public_baseurl": ("https://a.test/\nx: y", "https://a.test/; }", "javascript:alert(1)"),
    "nginx.proxy_read_timeout": ("60s; return 200", "60s\n}"),
    "max_upload_size": ("50M; }", "1\n"),
    "database.name": ('x"; drop database postgres; --', "a\nb", "a;b"),
    "limits.main_memory": ("1G\nExecStart=/bin/true", "1G; x"),
    "synapse.python": ("/bin/python\nExecStart=/bin/x",),
    "synapse.version": ("1.0; rm -rf /", "--index-url=http://x"),
    "log_level": ("INFO\nx: y",),
    "bind_addresses": ("0.0.0.0; return 200",),
}


def test_hostile_values(host: Host, check: Checks) -> None:
    """Settings full of characters that have a meaning in other files."""
    refused(host, check)
    taken = rendered(host, check)
    with check("a server with the most hostile path starts, stores a file and returns it", vital=True) as note:
        add_test_options(host)
        write_settings(host, {"server_name": SERVER, "workers": ["client_reader", "media_repository"], "media_store_path": taken[-1]})
        result = host.product("install", "--yes")
        note(f"{taken[-1]!r}, {result.seconds:.1f} s")
    with check("the file is stored below the path of the setting"):
        talk(host)
        found = host.shell('find "$1/local_content" -type f', taken[-1]).out.splitlines()
        assert found, f"no file below {taken[-1]}"
        shown = host.run("systemctl", "show", "--property=ReadWritePaths", worker("media_repository1")).out
        # systemctl quotes as a shell does.
        assert_equal(host.shell('eval "set -- $1"; printf "%s\\n" "$@"', shown.strip().partition("=")[2]).out.splitlines(),
                     ["/var/lib/synapse", taken[-1], "/run/synapse-workers"], "ReadWritePaths")
        assert_contains(host.product("install", "--yes").out, "0 changed")
    with check("--purge removes that directory too"):
        purge(host)
        listing.assert_equal(host.before, listing.everything(host), "after --purge")


def refused(host: Host, check: Checks) -> None:
    for key, values in INJECTIONS.items():
        with check(f"{key}: values that would change the structure of a file are refused"):
            for value in values:
                write_settings(host, {"server_name": SERVER, "workers": ["client_reader"], **nested(key, value)}, "/tmp/nasty.yaml")
                result = host.product("plan", "--settings", "/tmp/nasty.yaml", expect=(64,))
                assert_contains(result.err, "error: ", "/tmp/nasty.yaml", key.split(".")[-1])


def rendered(host: Host, check: Checks) -> list[str]:
    """Renders each path; accepted paths must leave the structure of units, nginx and YAML as with the plain one."""
    taken, plain = [], None
    for path in PATHS:
        with check(f"media_store_path {path!r} is used literally or refused") as note:
            write_settings(host, {"server_name": SERVER, "workers": ["client_reader"], "media_store_path": path}, "/tmp/nasty.yaml")
            result = host.shell("rm -rf /tmp/nasty; synapse-workers render --root /tmp/nasty --settings /tmp/nasty.yaml", expect=(0, 64))
            note("taken" if result.code == 0 else "refused")
            if result.code == 64:
                assert_contains(result.err, "media_store_path")
                continue
            shape = structure(host)
            plain = plain or shape
            assert_equal(shape, plain, "structure")
            homeserver = parse(host, "/tmp/nasty/var/lib/synapse-workers/generations/1/synapse")
            assert_equal(homeserver["media_store_path"], path, "media_store_path in YAML")
            taken.append(path)
    return taken


def structure(host: Host) -> str:
    """Keys of units in order, words of nginx that begin a directive, keys of YAML: everything but the values."""
    script = r"""
        cd /tmp/nasty/etc/systemd/system; sed -n 's/=.*//p; /^\[/p' *.service
        cd /tmp/nasty/var/lib/synapse-workers/generations/1; wc -l nginx/nginx.conf
        grep -c . synapse/homeserver.yaml"""
    return host.shell(script).out


def parse(host: Host, directory: str) -> dict[str, Any]:
    """Every option of main as Synapse's own YAML reader sees it, merged."""
    script = """
import glob, json, sys, yaml
merged = {}
for name in sorted(glob.glob(sys.argv[1] + "/*.yaml") + glob.glob(sys.argv[1] + "/shared.d/*.yaml")):
    merged.update(yaml.safe_load(open(name)) or {})
json.dump(merged, sys.stdout)"""
    return json.loads(host.run("/opt/venvs/matrix-synapse/bin/python", "-c", script, directory).out)


def nested(key: str, value: str) -> dict[str, Any]:
    """The value below its key; `a.b` is b in the section a."""
    section, _, name = key.rpartition(".")
    return {section: {name: value}} if section else {key: value}
