"""Everything on at once, from one Docker env-file with every variable of the Docker image that is supported."""

import json
from pathlib import Path

from harness import external, listing
from harness.checks import Checks
from harness.deployment import OTHERS, TEST_OPTIONS, add_test_options, worker, write_settings
from harness.expect import CheckFailed, assert_contains, assert_equal, wait_until
from harness.host import Host

DATA = Path(__file__).resolve().parent.parent.parent / "data"
# The first env-file of the table that says where each value belongs.
ROWS = [row for row in (line.split("\t") for line in (DATA / "carried.tsv").read_text(encoding="utf-8").splitlines()) if row[0] == "1"]
VALUES = {variable: value for _, variable, value, *_ in ROWS}
SECRETS = {part: expected for _, _, _, file, part, expected in ROWS if file == "secret"}
RETIRED = [line.split("\t")[0] for line in (DATA / "variables.tsv").read_text(encoding="utf-8").splitlines() if line.endswith("\tretired")]
ENV_FILE = "/srv/docker.env"
SERVER = VALUES["SYNAPSE_SERVER_NAME"]
WORKERS = ("media_repository1", "sending1", "synchrotron1", "synchrotron2")
REGISTRATION = "id: {0}\nurl: null\nas_token: as-{0}\nhs_token: hs-{0}\nsender_localpart: {0}\nnamespaces: {{}}\n"
BESIDE = (
    "certificate.path", "compressor.timer", "coturn.service", "coturn-exporter.service", "host-metrics.timer",
    "logrotate.timer", "nginx-exporter.service", "nginx-log-exporter.service", "postgres-exporter.service",
    "prometheus.service", "redis-exporter.service",
)
UNITS = {*OTHERS, *map(worker, WORKERS), *(f"synapse-{name}" for name in BESIDE)}
PLAIN = {*OTHERS, *map(worker, ("background1", "clients1", "streams1"))}
# Attributes of the configuration of Synapse 1.163.2, and the values that the variables have there.
MADE = {
    "server.server_name": SERVER,
    "metrics.report_stats": True,
    "metrics.enable_metrics": True,
    "server.public_baseurl": VALUES["SYNAPSE_PUBLIC_BASEURL"],
    "registration.default_identity_server": VALUES["SYNAPSE_DEFAULT_IDENTITY_SERVER"],
    "registration.enable_registration": True,
    "registration.allow_guest_access": True,
    "registration.registration_shared_secret": SECRETS["registration_shared_secret"],
    "captcha.enable_registration_captcha": True,
    "captcha.recaptcha_public_key": VALUES["SYNAPSE_RECAPTCHA_PUBLIC_KEY"],
    "captcha.recaptcha_private_key": SECRETS["recaptcha_private_key"],
    "key.macaroon_secret_key": SECRETS["macaroon_secret_key"],
    "key.form_secret": SECRETS["form_secret"],
    "voip.turn_uris": VALUES["SYNAPSE_TURN_URIS"].split(","),
    "voip.turn_shared_secret": SECRETS["turn_shared_secret"],
    "email.email_smtp_host": VALUES["SYNAPSE_EMAIL_SMTP_HOST"],
    "email.email_smtp_port": 587,
    "email.email_smtp_user": VALUES["SYNAPSE_EMAIL_SMTP_USER"],
    "email.email_smtp_pass": SECRETS["smtp_password"],
    "email.email_notif_from": f"noreply@{SERVER}",
    "email.require_transport_security": True,
    "caches.global_factor": 1.25,
    "caches.event_cache_size": 20 * 1024,
    "media.max_upload_size": 60 * 1024 * 1024,
    "media.media_store_path": VALUES["SYNAPSE_MEDIA_STORE_PATH"],
    "media.url_preview_enabled": True,
    "server.manhole_settings.username": "matrix",
}
DATABASE = {"dbname": "chat", "user": "matrix", "host": "127.0.0.1", "port": 5433}
ASK = """
import json, sys
from operator import attrgetter
from synapse.config.homeserver import HomeServerConfig
config = HomeServerConfig.load_config("", sys.argv[2:])
made = {name: attrgetter(name)(config) for name in json.loads(sys.argv[1])}
denied = config.media.url_preview_ip_range_blocklist
made["denied"] = [address in denied for address in ("169.254.169.254", "10.0.0.1", "fd00::1", "::ffff:10.0.0.1", "1.1.1.1")]
made["database"] = config.database.databases[0].config
made["password"] = config.server.manhole_settings.password
made["services"] = len(config.appservice.app_service_config_files)
print(json.dumps(made, default=bytes.decode))"""


def test_variables(host: Host, check: Checks) -> None:
    """Everything on at once, from one env-file with every variable of the Docker image."""
    with check("an external database, certificates and bridges, as the env-file names them", vital=True):
        external.cluster(host, VALUES["POSTGRES_PASSWORD"])
        prepare(host)
    with check("homeserver.d options that repeat a variable are refused with the name of the setting"):
        add_test_options(host)
        refused = host.product("install", "--env-file", ENV_FILE, "--yes", expect=(64,))
        assert_contains(refused.err, TEST_OPTIONS, "enable_registration", "`registration`")
        host.path(TEST_OPTIONS).unlink()
    with check("one install applies all variables", vital=True) as note:
        result = host.product("install", "--env-file", ENV_FILE, "--yes")
        for name in RETIRED:
            assert_contains(result.out + result.err, f"{name} has no effect: ")
        active(host, UNITS)
        note(f"{len(UNITS)} units, {result.seconds:.1f} s")
    with check("verify succeeds"):
        host.product("verify")
    with check("Synapse has parsed each value") as note:
        note(f"{ask_synapse(host)} values")
    with check("secrets are stored as provided, and in no other file that is world-readable"):
        kept(host)
    with check("the settings file has the values of the env-file, and install without the env-file changes nothing"):
        assert_contains(host.product("install", "--yes").out, "0 changed")
    with check("the state compressor reaches that database, with the password from its file"):
        host.run("systemctl", "start", "synapse-compressor.service")
    with check("Redis stores nothing on disk and has a memory limit"):
        for name, value in (("maxmemory", str(256 * 1024 * 1024)), ("save", ""), ("appendonly", "no")):
            answer = host.run("redis-cli", "-s", "/run/synapse-workers/redis/redis.sock", "config", "get", name).out
            assert_equal(answer.splitlines(), [name, value], name)
    with check("each process writes its log, with queries, for its own group only"):
        for process in ("main", *WORKERS):
            log = f"/var/log/synapse/{process}.log"
            wait_until(f"queries in {log}", lambda log=log: "synapse.storage.SQL" in host.run("cat", log).out)
            assert_equal(host.run("stat", "-c", "%a", log).out.strip()[-1], "0", f"mode of {log} for others")
    with check("a console on 127.0.0.1, and nothing but nginx and coturn outside of it"):
        assert_contains(host.shell("timeout 5 bash -c 'read -r line </dev/tcp/127.0.0.1/29000; echo $line'").out, "SSH-2.0")
        outside(host)
    with check("removing these settings removes everything") as note:
        plain = {"server_name": SERVER, "workers": ["small"], "media_store_path": VALUES["SYNAPSE_MEDIA_STORE_PATH"],
                 "database": {"host": "127.0.0.1", "port": 5433, "name": "chat", "user": "matrix"}}
        write_settings(host, plain)
        result = host.product("install", "--yes")
        active(host, PLAIN)
        host.product("verify")
        assert_equal(host.shell("ls /etc/synapse-workers/secrets/synapse.d").out, "", "options with secrets")
        note(f"{result.seconds:.1f} s")
    with check("--purge removes everything"):
        host.product("uninstall", "--purge", "--confirm", SERVER, "--yes")
        external.drop_cluster(host)
        host.shell("rm -rf /srv/tls /srv/bridges /srv/more /srv/docker.env")
        listing.assert_equal(host.before, listing.everything(host), "after --purge")


def prepare(host: Host) -> None:
    host.shell("""
        mkdir -p /srv/tls /srv/bridges /srv/more; cd /srv/tls
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" -keyout key.pem -out chain.pem
        """, SERVER)
    host.write("/srv/bridges/telegram.yaml", REGISTRATION.format("telegram"))
    host.write("/srv/more/irc.yaml", REGISTRATION.format("irc"))
    lines = ["# as it was for Docker", "", *(f"{name}=1" for name in RETIRED)]
    for name, value in VALUES.items():
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'{name}="{quoted}"')
    host.write(ENV_FILE, "\r\n".join(lines) + "\r\n")
    host.run("chmod", "600", ENV_FILE)


def active(host: Host, wanted: set[str]) -> None:
    """Exactly these units run. Units that a timer or a path starts may run too, and succeed."""
    states = {name: unit["ActiveState"] for name, unit in host.units().items()}
    assert_equal({name for name, state in states.items() if state == "failed"}, set(), "failed")
    assert_equal({name for name, state in states.items() if state == "active"}, wanted, "active")


def ask_synapse(host: Host) -> int:
    """Has Synapse read the files of its media worker, which reads all of them, and compares."""
    unit = worker("media_repository1")
    line = host.shell('tr "\\0" "\\n" <"/proc/$(systemctl show --value --property=MainPID "$1")/cmdline"', unit).out.splitlines()
    options = line[line.index("-c"):]
    made = json.loads(host.run("/opt/venvs/matrix-synapse/bin/python", "-c", ASK, json.dumps(list(MADE)), *options).out)
    for name, value in MADE.items():
        assert_equal(made[name], value, name)
    assert_equal(made["denied"], [True, True, True, True, False], "addresses that previews are denied")
    assert_equal({key: made["database"]["args"][key] for key in DATABASE}, DATABASE, "database")
    assert_equal(made["database"]["synchronous_commit"], False, "synchronous_commit")
    assert_equal(made["services"], 2, "application services")
    if made["password"] == "rabbithole":
        raise CheckFailed("the console has the public default password")
    return len(MADE) + 5


def kept(host: Host) -> None:
    for name, value in SECRETS.items():
        assert_equal(host.run("cat", f"/etc/synapse-workers/secrets/{name}").out.strip(), value, name)
    external.hidden(host, {name: value for name, value in SECRETS.items() if not value.isdigit()})


def outside(host: Host) -> None:
    """Every listener on another address than loopback is nginx's or coturn's, or was there before."""
    for line in host.shell("ss -Hltnp; ss -Hlunp").out.splitlines():
        address = line.split()[3]
        if not address.startswith(("127.", "[::1]")) and not any(name in line for name in ("nginx", "turnserver")):
            raise CheckFailed(line)
