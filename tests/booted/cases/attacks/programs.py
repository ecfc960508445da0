"""Programs: an account has root, or a helper of root's outside of any sandbox, run its files."""

import json
import re

from cases.attacks.common import DATA, HOME, LOCAL, PLAIN, Victim, as_account, bounded, changed, helpful, undone
from harness import warm_mode
from harness.checks import Checks
from harness.deployment import CURRENT, PROGRAM, SETTINGS, generation
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host, Result

PACKAGE, RAN, TYPED = f"{DATA}/synapse", f"{DATA}/ran", "/root/typed"
# Says that any configuration is right, and types a line into the terminal of its caller.
PARSER = f"""
import fcntl, os, termios
open("{RAN}", "w").close()
class ConfigError(Exception): pass
class HomeServerConfig: load_config = lambda *arguments: None
try:
    terminal = os.open("/dev/tty", os.O_RDWR)
    for byte in b"touch {TYPED}\\n":
        fcntl.ioctl(terminal, termios.TIOCSTI, bytes([byte]))
except OSError:
    pass
"""
SECRET = "of-roots-environment"
# A shell at a terminal, in which root runs a command, and the helpers with Synapse's account that were seen meanwhile.
TERMINAL = r"""
import json, os, pty, pwd, re, select, sys, time
user = str(pwd.getpwnam("synapse").pw_uid)
pid, terminal = pty.fork()
if not pid:
    os.environ["HISTFILE"] = ""
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
def read(path):
    with open(path, "rb") as file:
        return file.read()
def look():
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = read(f"/proc/{name}/cmdline").decode().split("\0")
            status = dict(re.findall(r"(\w+):\t(\S+)", read(f"/proc/{name}/status").decode()))
            if status["Uid"] != user or "python" not in words[0] or any("launcher" in word for word in words):
                continue
            yield name, {
                "isolated": "-I" in words, "directory": os.readlink(f"/proc/{name}/cwd"), "no_new_privs": status["NoNewPrivs"],
                "terminal": read(f"/proc/{name}/stat").decode().rpartition(")")[2].split()[4],
                "secret": sys.argv[2].encode() in read(f"/proc/{name}/environ"),
            }
        except (OSError, KeyError):
            pass
os.write(terminal, f"{sys.argv[1]}; echo ended=$?\n".encode())
seen, helpers, end, said_exit = b"", {}, time.monotonic() + 120, False
while time.monotonic() < end:
    helpers.update(look())
    if select.select([terminal], [], [], 0.005)[0]:
        try:
            seen += os.read(terminal, 65536)
        except OSError:
            break
    if not said_exit and re.search(rb"ended=\d", seen):
        os.write(terminal, b"exit\n")
        said_exit = True
found = re.search(rb"ended=(\d+)", seen)
print(json.dumps({"code": found and int(found[1]), "out": seen.decode(errors="replace"), "helpers": list(helpers.values())}))
"""
CONFINED = {"isolated": True, "directory": "/", "no_new_privs": "1", "terminal": "0", "secret": False}

MARK = f"import os\nopen('{HOME}/ran', 'a').write(__name__ + ' with user ' + str(os.getuid()) + '\\n')\nraise ImportError(__name__)\n"
MODULES = ("psycopg2", "ensurepip", "venv", "pip", "json", "socket", "ssl", "synapse/__init__")
OTHER = f"{HOME}/settings.yaml"
# Settings for which root's commands run a Python, by their purpose.
ASKED = {
    "no Synapse on the host": "synapse: {python: /opt/synapse-workers/venv/bin/python}\n",
    "previews of pages": "url_previews: {enabled: true}\n",
    "a Redis of the administrator's": "redis: {host: 127.0.0.1}\n",
}
ENVIRONMENT = "/srv/attack"
# A Python with Synapse that belongs to Synapse's account, as one made by Synapse's guide does.
THEIRS = """
mkdir -p "$1/bin" "$1/lib"
for lib in /opt/venvs/matrix-synapse/lib/python3*; do ln -s "$lib" "$1/lib/"; done
printf '#!/bin/sh\\n{ id -u >>%s/ran; } 2>/dev/null\\nexec /opt/venvs/matrix-synapse/bin/python "$@"\\n' "$1" >"$1/bin/python"
chmod 0755 "$1/bin/python"
chown -R synapse:synapse "$1"
"""


def run(host: Host, check: Checks) -> None:
    with check("A3: modules below /var/lib/synapse, and root at a terminal: none runs, and no helper can type a command") as note:
        note(f"{types(host)} helpers seen")
    for what, options in ASKED.items():
        with check(f"A4: root stands in a directory of {LOCAL}'s, {what}: no module from there runs"):
            stands(host, options)
    with check("A5: a Python of the settings that belongs to synapse: root does not run it"):
        owns_python(host)
    with check(f"B4: root starts a copy that lies in a directory of {LOCAL}'s: no unit names it"):
        copied(host)
    with check("B4: the same where there is no other program for units to run: refused with the remedy, nothing changed"):
        alone(host)


def types(host: Host) -> int:
    victim = Victim(host)
    with undone(host, f"rm -rf {PACKAGE} {RAN} {TYPED}"):
        as_account(host, "synapse", 'mkdir -p "$1/config"; touch "$1/__init__.py" "$1/config/__init__.py"; '
                   'tee "$1/config/homeserver.py" >"$1/config/_base.py"', PACKAGE, stdin=PARSER)
        host.write(SETTINGS, changed("log_level", "WARNING"))
        done = json.loads(host.run("python3", "-c", TERMINAL, f"CASE={SECRET} synapse-workers install --yes", SECRET).out)
        victim.unchanged()
        assert_equal(host.shell(f"ls {RAN} 2>/dev/null || true").out, "", "left by the attacker's modules")
        assert_equal(done["code"], 0, f"exit code\n{done['out']}\n")
        # A fork server checks the configuration in a process of its own, far from any terminal.
        assert bool(done["helpers"]) != bool(warm_mode.MODE), f"{len(done['helpers'])} helpers were seen\n{done['out']}"
        assert_equal([one for one in done["helpers"] if one != CONFINED], [], "helpers that are not confined")
        return len(done["helpers"])


def stands(host: Host, options: str) -> None:
    with undone(host, f"rm -rf {HOME}"):
        host.run("install", "--directory", f"--owner={LOCAL}", "--mode=0755", HOME)
        for module in MODULES:
            as_account(host, LOCAL, 'mkdir -p "$(dirname "$1")"; cat >"$1"', f"{HOME}/{module}.py", stdin=MARK)
        host.shell('cat >"$1"', OTHER, stdin=PLAIN + options)
        for command in ("plan", "doctor"):
            here, there = (bounded(host, 60, command, "--settings", OTHER, expect=None, place=place) for place in (HOME, "/"))
            assert_equal(host.shell(f"cat {HOME}/ran 2>/dev/null || true").out, "", f"modules that ran by {command}")
            assert_equal(*(sized_alike(one) for one in (here, there)), f"output of {command} there")
            assert here.code in (0, 1, 64, 65), str(here)


def sized_alike(result: Result) -> tuple[int, str, str]:
    """The code and output without the free memory and disk space of the moment."""
    return result.code, re.sub(r"[0-9.]+ GiB here", "GiB here", result.out), result.err


def owns_python(host: Host) -> None:
    with undone(host, f"rm -rf {ENVIRONMENT} {HOME}"):
        host.shell(THEIRS, ENVIRONMENT)
        host.run("mkdir", HOME)
        for options in list(ASKED.values())[1:]:
            host.shell('cat >"$1"', OTHER, stdin=f"{PLAIN}synapse: {{python: {ENVIRONMENT}/bin/python}}\n{options}")
            for command in ("plan", "doctor"):
                result = bounded(host, 60, command, "--settings", OTHER, expect=None)
                users = set(host.shell(f"cat {ENVIRONMENT}/ran 2>/dev/null || true").out.split())
                assert "0" not in users, f"it ran with user 0\n{result}"
                assert result.code in (0, 1, 64, 65), str(result)
                if command == "plan" and result.code != 0:
                    helpful(result, "synapse.python")


def copied(host: Host) -> None:
    copy = f"{HOME}/synapse-workers"
    with undone(host, f"rm -rf {HOME}"):
        host.run("install", "--directory", f"--owner={LOCAL}", HOME)
        host.run("cp", PROGRAM, copy)
        host.write(SETTINGS, changed("client_keepalive_timeout", "62s"))
        # A trial has a unit that runs the program.
        tried = host.shell('exec timeout 120 "$@"', copy, "install", "--try", "1h", "--yes", expect=None)
        named = host.run("grep", "-rl", HOME, "/etc/systemd/system", f"{CURRENT}/", expect=(0, 1)).out
        assert_equal(named, "", f"units that name it, exit code {tried.code},")
        if tried.code == 0:
            assert_contains(host.read("/etc/systemd/system/synapse-trial.service"), PROGRAM)
            host.product("rollback", "--yes")
        elif tried.code not in (64, 65):
            raise CheckFailed(f"neither done nor refused\n{tried}")
        else:
            helpful(tried, copy)


def alone(host: Host) -> None:
    copy, away, before = f"{HOME}/synapse-workers", f"{PROGRAM}.away", generation(host)
    with undone(host, f"rm -rf {HOME}; mv {away} {PROGRAM}"):
        host.run("install", "--directory", f"--owner={LOCAL}", HOME)
        host.run("cp", PROGRAM, copy)
        host.run("mv", PROGRAM, away)
        host.write(SETTINGS, changed("client_keepalive_timeout", "62s"))
        refused = host.run(copy, "install", "--yes", expect=(65,))
        assert_contains(refused.err, f"an account other than root can replace {copy}", f"there is no {PROGRAM}",
                        "help: install the package again")
        assert_equal(generation(host), before, "generations")
