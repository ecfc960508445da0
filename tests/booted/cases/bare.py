"""A small host without Synapse: pip brings it, into our venv."""

import json
import re
from typing import Any

import pytest

from harness import deployment, listing
from harness.checks import Checks
from harness.deployment import URL, client, generation, jobs, purge, services_down, talk
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host, Result

VENV = "/opt/synapse-workers/venv"
SETTINGS = "/etc/synapse-workers/settings.yaml"


@pytest.mark.bare
def test_bare(host: Host, check: Checks) -> None:
    """A small host without Synapse, which is installed into a venv."""
    questions(host, check)
    with check("presets and install choose the same preset, with the reason, and the settings file contains it", vital=True) as note:
        fitting = [json.loads(line) for line in host.product("presets", "--json").out.splitlines()]
        (preset,) = [one["name"] for one in fitting if one["fits"]]
        result = host.product("install", "--server-name", deployment.SERVER, "--yes")
        assert_contains(result.out, f"note: preset {preset}, main and ", "this host has", "--preset or --workers")
        assert_contains(host.shell(f"grep --after-context=1 ^workers: {SETTINGS}").out, preset)
        note(f"{preset}, {result.seconds:.1f} s")
    with check("the end of install has the address, the processes, and a command for each missing part"):
        assert_contains(result.out, f"{deployment.SERVER} at http://",
                        "processes; nginx answers\nMissing or at fault:\n  certificate: none",
                        "  account: no user can log in yet\n    sudo synapse-workers user add NAME --admin\n", "  backup: none",
                        "Next: sudo synapse-workers status")
        server = host.json("install", "--yes")["server"]
        assert_equal((server["name"], server["answers"], [one["part"] for one in server["missing"]]),
                     (deployment.SERVER, True, ["certificate", "account", "reachability", "backup"]), "server in JSON")
    with check("all processes run with the Synapse of the venv, which has byte code"):
        for unit in host.units("synapse-main.service", "synapse-worker@*.service").values():
            assert_contains(host.run("cat", f"/proc/{unit['MainPID']}/cmdline").out, f"{VENV}-1.163.2/bin/python\0", "\0synapse.app.")
        assert_contains(host.shell(f"ls {VENV}/lib/python3*/site-packages/synapse/__pycache__").out, ".pyc")
        assert_equal(services_down(host), "", "failed units of the host")
    with check("status --json: every process is active and healthy") as note:
        processes = host.json("status")["processes"]
        assert_equal([one for one in processes if one["state"] != "active" or one["health"] not in ("ok", "-")], [], "unhealthy")
        note(f"{len(processes)} processes, {sum(one['memory'] or 0 for one in processes) // 1_000_000} MB")
    with check("doctor reports no problem"):
        findings = host.json("doctor")
        assert_equal([one for one in findings if one["result"] != "ok"], [], "findings")
    with check("homeserver.d options: install restarts only main and workers") as note:
        deployment.add_test_options(host)
        result = host.product("install", "--yes")
        assert_equal({verb for verb, *_ in jobs(result.out)}, {"restart"}, "verbs of jobs")
        assert_equal({unit for _, *units in jobs(result.out) for unit in units}, {
            unit for unit in host.units() if unit.startswith(("synapse-main", "synapse-worker@"))}, "units of jobs")
        note(f"{result.seconds:.1f} s")
    with check("the scenario of two users succeeds") as note:
        note(client(host, "scenario.py", URL, "--shared-secret-file", str(host.path(deployment.SHARED_SECRET))).out.splitlines()[-1])
        talk(host)
    with check("without public_baseurl, Synapse names no server to clients"):
        answer = json.loads(host.net("curl", "--silent", f"{URL}/.well-known/matrix/client").out)
        assert_equal(answer["errcode"], "M_NOT_FOUND", "the errcode")
    with check("a second install prints `0 changed`"):
        number = generation(host)
        out = host.product("install", "--yes").out
        assert_contains(out, "0 changed", "certificate: none")
        assert_equal([line for line in out.splitlines() if "no user can log in" in line or "backup" in line], [], "lines about parts")
        assert_equal(generation(host), number, "generation")
    status_line(host, check)
    limits(host, check)
    tuning(host, check)
    with check("uninstall --purge removes everything, including the venv and later options") as note:
        note(f"{purge(host).seconds:.1f} s")
        listing.assert_equal(host.before, listing.everything(host), "after --purge")


def at_terminal(host: Host, command: str, typed: str = "", columns: int = 80, expect: tuple[int, ...] = (0,)) -> Result:
    """Runs a command at a terminal, which ends after what is typed."""
    return host.run("script", "--quiet", "--return", "--command", f"stty cols {columns}; TERM=xterm {command}", "/dev/null",
                    stdin=typed, expect=expect)


def questions(host: Host, check: Checks) -> None:
    """The questions on a host without settings; nothing is installed by them."""
    with check("install at a terminal asks for the server name, and its end changes nothing"):
        shown = at_terminal(host, "synapse-workers install", expect=(1,)).out
        assert_contains(shown, "It is final", "Server name:", "nothing was changed")
        assert_equal(host.path(SETTINGS).exists(), False, "the settings file")
    with check("a wrong answer is asked for again, and the answers lead to the plan"):
        typed = f"{deployment.SERVER}/\n{deployment.SERVER}\nnone\n\nn\n"
        shown = at_terminal(host, "synapse-workers install", typed, expect=(1,)).out
        assert_contains(shown, "server name: `server_name` cannot be", "Other answers: small, medium", "E-mail address", "Apply this plan?")
        assert_contains(shown, "synapse-main.service", "nothing was changed")
        assert_equal("synapse-worker@" in shown, False, f"a worker in {shown}")
        assert_equal(host.path(SETTINGS).exists(), False, "the settings file")
    with check("what the environment or a flag contains is not asked for"):
        shown = at_terminal(host, f"env SYNAPSE_SERVER_NAME={deployment.SERVER} synapse-workers install", "n\n", expect=(1,)).out
        assert_equal("Server name:" in shown, False, f"a question in {shown}")
        shown = at_terminal(host, "synapse-workers install --preset small", f"{deployment.SERVER}\n\nn\n", expect=(1,)).out
        assert_equal("Workers [" in shown, False, f"a question in {shown}")


def status_line(host: Host, check: Checks) -> None:
    """The status of long steps at a terminal."""
    with check("a terminal shows how many processes are ready, within its width, and then the same lines as a pipe"):
        host.write("/etc/synapse-workers/homeserver.d/status.yaml", "user_ips_max_age: 27d\n")
        shown = at_terminal(host, "synapse-workers install --yes", columns=72).out
        # A carriage return arrives as a newline.
        drawn = re.findall(r"\x1b\[K(.*)", shown)
        counts = [text for text in drawn if re.fullmatch(r" +[0-9]+ s: [0-9]+ of [0-9]+ ready", text)]
        assert_equal(bool(counts), True, f"a count in {shown!r}")
        assert_equal([text for text in drawn if len(text) > 72], [], "texts that are too wide")
        left = re.sub(r".*\n\x1b\[K", "", shown)
        assert_equal(re.findall(r"(?m)^.*[ ][0-9]+ s(?::.*|$)|.*\x1b.*", left), [], "a status that was left")
        assert_contains(left, "  verify  units, health, routes  ")
    with check("without a terminal, nothing is drawn"):
        host.run("rm", "/etc/synapse-workers/homeserver.d/status.yaml")
        assert_equal("\x1b" in host.product("install", "--yes").out, False, "an escape sequence")


def limits(host: Host, check: Checks) -> None:
    """Limits that follow from the size of the host."""
    units = ("synapse-main.service", "synapse-worker@clients1.service")

    def high() -> list[str]:
        return [host.run("systemctl", "show", "--property=MemoryHigh", "--value", unit).out.strip() for unit in units]

    with check("each process has a part of the memory of the host") as note:
        total = int(host.shell("awk '/^MemTotal:/ {print $2}' /proc/meminfo").out) * 1024
        for value in high():
            assert_equal(0 < int(value) < total, True, f"MemoryHigh={value} of {total}")
        note(f"{int(high()[0]) >> 20} of {total >> 20} MiB")
    with check("another limit applies to running processes, and none restarts"):
        before, old = host.units(*units), high()
        host.run("sed", "-i", "s/^  memory_high: auto$/  memory_high: 3G/", SETTINGS)
        assert_equal(jobs(host.product("install", "--yes").out), [], "jobs")
        assert_equal(high(), [str(3 << 30)] * 2, "MemoryHigh")
        host.run("sed", "-i", "s/^  memory_high: 3G$/  memory_high: auto/", SETTINGS)
        host.product("install", "--yes")
        after = host.units(*units)
        assert_equal((high(), {unit: after[unit]["MainPID"] for unit in units}),
                     (old, {unit: before[unit]["MainPID"] for unit in units}), "MemoryHigh, processes")


def tuning(host: Host, check: Checks) -> None:
    """PostgreSQL is sized by a file in a directory that its own account owns."""
    (unit,) = host.shell("systemctl list-units --plain --no-legend 'postgresql@*.service' | cut -d' ' -f1").out.split()
    version, cluster = unit.removeprefix("postgresql@").removesuffix(".service").split("-", 1)
    file = f"/etc/postgresql/{version}/{cluster}/conf.d/synapse-workers.conf"

    def finding() -> dict[str, Any]:
        (row,) = [one for one in host.json("doctor") if one["check"] == "PostgreSQL has read the file of database.tune"]
        return row

    def shared_buffers() -> str:
        return host.run("sudo", "-u", "postgres", "psql", "-Atc", "show shared_buffers").out.strip()

    with check("install --tune-database writes root's file, restarts nothing, and names the command"):
        result = host.product("install", "--tune-database", "--yes")
        assert_contains(result.out, f"write   {file}", "PostgreSQL's own configuration parser", f"systemctl restart {unit}")
        assert_equal(jobs(result.out), [], "jobs")
        assert_equal(host.run("stat", "--format=%U %a", file).out.strip(), "root 644", "owner and mode")
        assert_contains(finding()["cure"], f"systemctl restart {unit}")
    with check("after the restart PostgreSQL uses it, and Synapse connects again") as note:
        before = shared_buffers()
        host.run("systemctl", "restart", unit)
        written = host.shell(f"sed -n 's/^shared_buffers = //p' {file}").out.strip()
        assert_equal(shared_buffers(), written, "shared_buffers")
        wait_until("verify", lambda: host.product("verify", expect=None).code == 0)
        assert_equal(finding()["result"], "ok", "finding")
        assert_contains(host.product("install", "--yes").out, "0 changed")
        note(f"{before} to {written}")
    with check("parameters of the administrator are left out"):
        own = f"/etc/postgresql/{version}/{cluster}/conf.d/own.conf"
        host.write(own, "work_mem = 5MB\n")
        host.product("install", "--yes")
        assert_equal(host.shell(f"grep -c ^work_mem {file} || true").out.strip(), "0", "lines")
        host.run("rm", own)
        host.product("install", "--yes")
    with check("a link of PostgreSQL's account leads root to no other file"):
        host.run("sudo", "-u", "postgres", "ln", "--symbolic", "--force", "/etc/hostname", file)
        name = host.shell("cat /etc/hostname").out
        refused = host.product("install", "--yes", expect=None)
        assert_equal(refused.code != 0, True, "refused")
        assert_contains(refused.err, "symbolic link")
        assert_equal(host.shell("cat /etc/hostname").out, name, "the file behind the link")
        host.run("rm", file)
        host.product("install", "--yes")
    with check("if PostgreSQL refuses the configuration, the file stays as it was, and the message names the line"):
        before = host.shell(f"cat {file}").out
        host.write(own, "work_mem = 5MB\nnonsense = 1\n")
        refused = host.product("install", "--yes", expect=(1,))
        assert_contains(refused.err, "PostgreSQL refuses", "nonsense")
        assert_equal(host.shell(f"cat {file}").out, before, "the file")
        host.run("rm", own)
        assert_contains(host.product("install", "--yes").out, "0 changed")
    with check("database.tune: false removes the file, and rollback restores it"):
        host.run("sed", "-i", "s/^  tune: true$/  tune: false/", SETTINGS)
        assert_contains(host.product("install", "--yes").out, f"remove  {file}")
        host.product("rollback", "--yes")
        assert_equal(host.shell(f"ls {file}").out.strip(), file, "after rollback")
