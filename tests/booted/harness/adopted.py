"""A server of Debian's package of Synapse, before its adoption."""

from harness.deployment import BOOTED, SERVER, psql, state
from harness.host import Host

ETC = "/etc/matrix-synapse"
DATA = "/var/lib/matrix-synapse"
FILE = f"{ETC}/homeserver.yaml"
SERVICE = "matrix-synapse.service"
UNIT = f"/etc/systemd/system/{SERVICE}"
VENV = "/opt/venvs/matrix-synapse"
PYTHON = f"{VENV}/bin/python"
PASSWORD = "a-password_of:postgres"
MAIN = f"{PYTHON} -m synapse.app.homeserver --config-path={FILE} --config-path={ETC}/conf.d/"
# The configuration of the package, except for the database.
HOMESERVER = f"""\
pid_file: "/var/run/matrix-synapse.pid"
listeners:
  - port: 8008
    tls: false
    type: http
    x_forwarded: true
    bind_addresses: ['::1', '127.0.0.1']
    resources:
      - names: [client, federation]
        compress: false
  - port: 9008
    type: metrics
    bind_addresses: ['127.0.0.1']
database:
  name: psycopg2
  args: {{user: matrix, password: "{PASSWORD}", dbname: matrix, host: localhost, cp_min: 1, cp_max: 4}}
log_config: "{ETC}/log.yaml"
media_store_path: {DATA}/media
signing_key_path: "{ETC}/homeserver.signing.key"
trusted_key_servers: []
suppress_key_server_warning: true
registration_shared_secret: "of the old server"
max_upload_size: 7M
"""
SERVICE_FILE = f"""\
[Unit]
Description=Synapse Matrix homeserver
After=postgresql.service
[Service]
Type=notify
User=matrix-synapse
WorkingDirectory={DATA}
ExecStart={MAIN}
Restart=always
RestartSec=3
[Install]
WantedBy=multi-user.target
"""
LOG = "version: 1\nroot: {level: INFO}\n"
MAKE = f"""
useradd --system --no-create-home --home-dir {DATA} --gid nogroup matrix-synapse
install --directory --owner=matrix-synapse --group=nogroup {DATA} {DATA}/media
cd {DATA}
setpriv --reuid=matrix-synapse --regid=nogroup --clear-groups sh -c '{PYTHON} -m synapse._scripts.generate_signing_key' > key
install --owner=matrix-synapse --group=nogroup --mode=0640 key {ETC}/homeserver.signing.key
rm key
chown matrix-synapse:nogroup {FILE}
chmod 0640 {FILE}
systemctl daemon-reload
systemctl enable --quiet --now {SERVICE}
"""
UNMAKE = f"""
systemctl disable --quiet --now {SERVICE} 2>&1 || true
rm -rf {ETC} {DATA} {UNIT}
systemctl daemon-reload
userdel matrix-synapse
"""


def make(host: Host, homeserver: str = HOMESERVER) -> None:
    """A server of the package."""
    host.write(FILE, homeserver)
    host.write(f"{ETC}/log.yaml", LOG)
    host.write(f"{ETC}/conf.d/server_name.yaml", f"server_name: {SERVER}\n")
    host.write(f"{ETC}/conf.d/report_stats.yaml", "report_stats: false\n")
    host.write(f"{ETC}/conf.d/test.yaml", (BOOTED / "test-homeserver.yaml").read_text(encoding="utf-8"))
    host.write(UNIT, SERVICE_FILE)
    if homeserver == HOMESERVER:
        psql(host, f"create role matrix login password '{PASSWORD}'")
        psql(host, "create database matrix owner matrix encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0")
    host.shell(MAKE)


def unmake(host: Host) -> None:
    host.shell(UNMAKE)
    psql(host, "drop database if exists matrix with (force)")
    psql(host, "drop role if exists matrix")
    state(host, "talk").unlink(missing_ok=True)
