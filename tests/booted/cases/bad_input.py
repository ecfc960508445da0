"""Invalid input: one message that names the place, the right exit code, and nothing on the host touched."""

from dataclasses import dataclass
from typing import Any

from harness import deployment, listing
from harness.checks import Checks
from harness.expect import CheckFailed, assert_contains, assert_equal
from harness.host import Host

PLACE = "/tmp/bad"
FILE = f"{PLACE}/settings.yaml"
NAME = ("--server-name", "example.test")
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
) + "server_name: example.test\n"


@dataclass(frozen=True)
class Bad:
    """A command that must be refused: its words, the settings file it reads, the exit code, the names in the message."""

    what: str
    names: tuple
    arguments: tuple = NAME
    text: str | None = None
    code: int = 64
    command: str = "install"
    # A shell command that makes the settings file, where that is not one with a text.
    make: str = ""
    user: str = "root"
    environment: tuple = ()


def workers(spec: str, *names: str) -> Bad:
    return Bad(f"workers {spec[:40]!r}", ("workers", *names), (*NAME, "--workers", spec))


def settings(what: str, text: str | None, *names: str, **more: Any) -> Bad:
    """A settings file; the message has its path, and `names`."""
    return Bad(what, (FILE, *names), (), text, **more)


def together(what: str, text: str, *names: str, **more: Any) -> Bad:
    """Settings that contradict each other; the message names the settings."""
    return Bad(what, names, (), text, **more)


ROWS = (
    workers("synchroton", "synchroton", "synchrotron"),
    workers("typing:2", "typing"),
    workers("typing,typing", "typing"),
    workers("synchrotron:-1", "-1"),
    workers("synchrotron:x", "x"),
    workers("synchrotron:1.5", "1.5"),
    workers("synchrotron:", "synchrotron:"),
    workers("synchrotron:10000", "10000"),
    workers("synchrotron:99999999999999999999", "99999999999999999999"),
    workers("=synchrotron", '""'),
    workers("synchrotron++pusher", "synchrotron++pusher"),
    workers("synchrotron,,pusher"),
    workers("a b=synchrotron", "a b"),
    workers("../x=synchrotron", "../x"),
    workers("main=synchrotron", "main"),
    workers("x=synchrotron,x=pusher", "x"),
    workers("synchro\x07tron"),
    workers("synchrotron\nExecStart=x"),
    Bad("no such preset", ("--preset", "huge"), (*NAME, "--preset", "huge")),
    Bad("no such flag", ("--werkers",), (*NAME, "--werkers", "full")),
    Bad("workers and a preset at once", ("--workers", "--preset"), (*NAME, "--workers", "full", "--preset", "small")),
    Bad("no server name", ("server_name",), ()),
    *(Bad(f"server name {name[:20]!r}", ("server_name",), (f"--server-name={name}",)) for name in (
        "", " ", "not a name", "http://example.test", "example..test", "example.test:99999", "a" * 256,
        "example.test;", "example.test\nx", "[::g]", "@x:example.test", "ex%mple.test")),
    settings("a duplicate key", "server_name: a.test\nhttp_port: 8008\nserver_name: b.test\n", "line 3: ", "server_name"),
    settings("a YAML bomb", BOMB),
    settings("no YAML", "server_name: example.test\nworkers: [\n", "line 3: "),
    settings("a tab", "server_name: example.test\n\thttp_port: 1\n", "line 2: "),
    settings("a list for a file", "- server_name\n"),
    settings("two documents", "server_name: a.test\n---\nserver_name: b.test\n"),
    settings("an unknown setting", "server_name: example.test\nhtp_port: 80\n", "line 2: ", "htp_port", "http_port"),
    settings("an unknown setting below", "server_name: example.test\ncaches:\n  globl_factor: 1\n", "line 3: ",
             "globl_factor", "global_factor"),
    settings("a word for a port", "server_name: example.test\nhttp_port: eight\n", "line 2: ", "http_port", "eight"),
    settings("a port too large", "server_name: example.test\nhttp_port: 65536\n", "line 2: ", "http_port", "65536"),
    settings("a mapping for workers", "server_name: example.test\nworkers: {full: 1}\n", "line 2: ", "workers"),
    settings("a number for a mapping", "server_name: example.test\ncaches: 3\n", "line 2: ", "caches"),
    settings("a size that is none", "server_name: example.test\nmax_upload_size: much\n", "line 2: ", "max_upload_size"),
    settings("a path that is none", "server_name: example.test\nmedia_store_path: media\n", "line 2: ", "media_store_path"),
    settings("an address that is none", "server_name: example.test\nbind_addresses: [999.0.0.1]\n", "line 2: ", "bind_addresses"),
    together("workers with SQLite", "server_name: example.test\nworkers: [full]\ndatabase: {kind: sqlite}\n", "database", "SQLite"),
    settings("a control character", "server_name: \"example.test\\x07\"\n", "line 1: ", "server_name"),
    together("captcha without its key", "server_name: example.test\nregistration: {enabled: true, verification: captcha}\n",
             "registration.verification", "registration.recaptcha_public_key"),
    # The host has options of the administrator's own that open registration.
    Bad("registration by settings and own options alike", ("test.yaml", "`enable_registration`", "`registration`"), (),
        "server_name: example.test\nregistration: {enabled: true}\n"),
    together("registration by mail without mail", "server_name: example.test\nregistration: {enabled: true, verification: email}\n",
             "registration.verification", "email.enabled"),
    together("a mail server's user without a password", "server_name: example.test\nemail: {enabled: true, smtp_user: me}\n",
             "smtp password", "help", "email.smtp_password_file", code=65),
    together("a bridge that is not there", "server_name: example.test\napp_services: {files: [/srv/none.yaml]}\n",
             "app_services.files", "/srv/none.yaml", "no such file"),
    together("no directory of bridges", "server_name: example.test\napp_services: {directory: /srv/none}\n",
             "app_services.directory", "/srv/none"),
    Bad("a bridge that is no registration", ("app_services.files", f"{PLACE}/irc.yaml", "`as_token`"), (),
        f"server_name: example.test\napp_services: {{files: [{PLACE}/irc.yaml]}}\n", make=f"printf 'id: irc\\n' >{PLACE}/irc.yaml"),
    Bad("a log configuration that is none", ("log_config", f"{PLACE}/log.yaml", "`version`"), (),
        f"server_name: example.test\nlog_config: {PLACE}/log.yaml\n", make=f"printf 'a: 1\\n' >{PLACE}/log.yaml"),
    together("a port in use", "server_name: example.test\nhttp_port: 5432\n", "5432", "http_port", code=65),
    together("more connections than PostgreSQL has", "server_name: example.test\nworkers: [\"synchrotron:100\"]\n",
             "cp_max", "max_connections", "help", code=65),
    settings("not UTF-8", None, make=f"printf 'server_name: \\377\\n' >{FILE}"),
    settings("a directory for the settings file", None, make=f"mkdir {FILE}"),
    settings("a device for the settings file", None, make=f"ln -s /dev/zero {FILE}"),
    settings("a file without right to read", "server_name: example.test\n", make=f"chmod 600 {FILE}", user="nobody"),
    Bad("install without root", ("root",), code=65, user="nobody"),
    Bad("an env-file that is not there", ("/tmp/bad/none.env",), (*NAME, "--env-file", "/tmp/bad/none.env")),
    Bad("a word for a port in the environment", ("SYNAPSE_HTTP_PORT", "eight"), environment=("SYNAPSE_HTTP_PORT=eight",)),
    Bad("workers in the environment", ("SYNAPSE_WORKER_TYPES", "synchroton"), environment=("SYNAPSE_WORKER_TYPES=synchroton",)),
    Bad("scale with a word", ("synchrotron=many",), ("synchrotron=many",), "server_name: example.test\n", command="scale"),
    Bad("scale without a number", ("synchrotron",), ("synchrotron",), "server_name: example.test\n", command="scale"),
    Bad("add of an unknown role", ("synchroton",), ("synchroton",), "server_name: example.test\n", command="add"),
    Bad("remove of a worker that is not there", ("nobody",), ("nobody",), "server_name: example.test\n", command="remove"),
    Bad("rollback of nothing", ("nothing is installed",), (), "server_name: example.test\n", code=65, command="rollback"),
    Bad("a first install on trial", ("--try", "no earlier generation"), (*NAME, "--workers", "", "--try", "5m")),
    Bad("a trial for a time that is none", ("--try", "soon", "90s"), (*NAME, "--try", "soon")),
    Bad("confirm of nothing", ("no change is on trial", "--try"), (), "server_name: example.test\n", command="confirm"),
    Bad("purge of another server", ("other.test", "example.test"), ("--purge", "--confirm", "other.test"),
        "server_name: example.test\n", command="uninstall"),
    Bad("purge without a name", ("--confirm",), ("--purge",), "server_name: example.test\n", command="uninstall"),
    Bad("no such command", ("instal",), command="instal"),
)


def test_bad_input(host: Host, check: Checks) -> None:
    """Invalid input is refused, and not a byte changes."""
    deployment.add_test_options(host)
    before, whole = listing.untouched(host), listing.everything(host)
    for row in ROWS:
        with check(row.what) as note:
            prepare(host, row)
            refused = host.run("runuser", "-u", row.user, "--", "env", *row.environment, "timeout", "30", "synapse-workers",
                               row.command, *row.arguments, *settings_of(row), expect=(row.code,))
            assert_contains(refused.err, *row.names)
            if refused.err.count("error: ") != 1 or "panicked" in refused.err or refused.out:
                raise CheckFailed(f"not one message:\n{refused}")
            listing.assert_equal(before, listing.untouched(host), "the host was touched")
            note(message(refused.err))
        if check.failed and host.units():
            raise CheckFailed(f"{row.what} was installed, the rest would meet another host")
    with check("the whole host is as before"):
        listing.assert_equal(whole, listing.everything(host), "the host was touched")
        assert_equal(host.units(), {}, "our units")
    host.run("rm", "-r", "/etc/synapse-workers")


def prepare(host: Host, row: Bad) -> None:
    script = f"rm -rf {PLACE}; mkdir {PLACE}; cd {PLACE}; "
    if row.text is not None:
        script += f"cat >{FILE}; "
    host.shell(script + row.make, stdin=row.text or "")


def settings_of(row: Bad) -> tuple[str, ...]:
    """The option for the settings file; none is there, or the row's own."""
    return () if row.command == "instal" else ("--settings", FILE)


def message(text: str) -> str:
    """The first line of a message, without the beginning that all have."""
    line = text.removeprefix("error: ").splitlines()[0]
    return line if len(line) < 160 else line[:157] + "…"
