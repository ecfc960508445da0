"""Input: accounts that would give the host away, and files of the administrator's that never end."""

from cases.attacks.common import HOME, PLAIN, bounded, helpful, undone
from harness.checks import Checks
from harness.expect import CheckFailed, assert_equal
from harness.host import Host

OTHER, UID_0 = f"{HOME}/settings.yaml", "toor"
ACCOUNTS = ("root", "postgres", "synapse-nginx", "synapse-redis", "synapse-prometheus", UID_0)
DROPPED = "/etc/synapse-workers/homeserver.d/zz-attack.yaml"
FIFO = f"{HOME}/fifo"
PLAN, RENDER = ("plan",), ("render", "--root", f"{HOME}/rendered")
# Seconds that a command may take to refuse its input.
AT_ONCE = 10
# Each place that the administrator's files are read from: the file, more settings, more words of the command, the name in
# the message.
FIFOS = (
    (DROPPED, "", (), DROPPED),
    (FIFO, f"app_services: {{files: [{FIFO}]}}\n", (), FIFO),
    (FIFO, f"log_config: {FIFO}\n", (), FIFO),
    (FIFO, "", ("--env-file", FIFO), FIFO),
    (FIFO, "", ("--settings", FIFO), FIFO),
)
DEEP = """python3 -c "print('a: ' + '[' * 100000)" >"$1\""""


def run(host: Host, check: Checks) -> None:
    with check("B5: Synapse as an account that has more than Synapse needs: refused, and the setting is named"):
        accounts(host)
    with check("C7: a FIFO wherever a file of the administrator's is read: refused at once") as note:
        with undone(host, f"rm -rf {HOME}"):
            slowest = max(refused(host, 'mkfifo "$1"', *row) for row in FIFOS)
        note(f"{len(FIFOS)} places, {slowest:.2f} s at most")
    with check("C7: YAML of 100,000 levels: refused at once") as note:
        with undone(host, f"rm -rf {HOME}"):
            slowest = max(refused(host, DEEP, *row) for row in (FIFOS[-1], FIFOS[0]))
        note(f"{slowest:.2f} s at most")


def accounts(host: Host) -> None:
    with undone(host, f"rm -rf {HOME}; userdel --force {UID_0} 2>/dev/null || true"):
        host.run("useradd", "--non-unique", "--uid=0", "--gid=0", "--no-create-home", "--no-user-group", UID_0)
        host.run("mkdir", HOME)
        wrong = []
        for account in ACCOUNTS:
            host.shell('cat >"$1"', OTHER, stdin=f"{PLAIN}synapse: {{user: {account}}}\ndatabase: {{user: {account}}}\n")
            # Which number is behind a name is known on the host only, so `render` does not ask.
            codes, commands = ((64, 65), (PLAN,)) if account == UID_0 else ((64,), (PLAN, RENDER))
            for command in commands:
                result = bounded(host, 60, *command, "--settings", OTHER, expect=None)
                if result.code not in codes or "synapse.user" not in result.err or account not in result.err:
                    wrong.append(f"{account}: {result}")
        if wrong:
            raise CheckFailed("\n".join(wrong))


def refused(host: Host, make: str, path: str, settings: str, words: tuple[str, ...], name: str) -> float:
    """Seconds until `plan` refuses it."""
    host.shell(f"rm -rf {HOME} {DROPPED}; mkdir {HOME}; {make}", path)
    if settings:
        host.shell('cat >"$1"', OTHER, stdin=PLAIN + settings)
        words = ("--settings", OTHER)
    result = bounded(host, AT_ONCE, "plan", *words, expect=None)
    assert_equal(result.code, 64, f"{result}\nexit code")
    helpful(result, name)
    return result.seconds
