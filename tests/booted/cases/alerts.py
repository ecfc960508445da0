"""Delivery of alerts: mail with and without a login, a webhook, a real alert with its end, and each failure with its reason."""

import email
import json
from email.message import Message
from typing import Any

from harness.checks import Checks
from harness.deployment import CLIENTS, CURRENT, SERVER, SETTINGS, add_test_options, purge, worker
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host

UNIT = "synapse-alertmanager.service"
SECRETS = "/etc/synapse-workers/secrets"
SINK, RECEIVED = "alert-sink.service", "/root/received"
PASSWORD, URL_FILE = "/root/alerts-password", "/root/alerts-webhook"
BASE = f"server_name: {SERVER}\nworkers: [synchrotron]\nmetrics: {{enabled: true, scrape_interval: 1s}}\n"
MAIL = "email: [Admin <admin@example.test>, night@example.test], smtp_host: localhost, smtp_port: 2525"
LOGIN = f"smtp_user: alerts, smtp_password_file: {PASSWORD}"
DATA = "/var/lib/synapse-workers/alertmanager"
# The waiting times of docs/alerts.md and of the rule, shortened: nothing else differs from the installed files.
SHORTEN = f"""
sed -i 's/for: 2m/for: 1s/' {CURRENT}/prometheus/rules/alerts.yml
sed -i 's/group_wait: 30s/group_wait: 1s/; s/group_interval: 1m/group_interval: 2s/' {SECRETS}/alertmanager.yml
systemctl reload synapse-prometheus.service
systemctl restart {UNIT}
"""


def test_alerts(host: Host, check: Checks) -> None:
    """Alerts arrive by mail and webhook, and a failure is reported with its reason."""
    add_test_options(host)
    host.push(CLIENTS / "alert_sink.py", "/root/alert_sink.py")
    host.write(PASSWORD, "it is p\"a:ss\\word\n")
    host.write(URL_FILE, "http://127.0.0.1:9000/token-of-the-hook\n")
    sink(host)
    configure(host, MAIL)
    with check("install with alerts by mail", vital=True) as note:
        result = host.product("install", "--yes")
        assert_contains(result.out, "amtool check-config")
        note(f"{result.seconds:.1f} s")
    with check("a test alert arrives by mail without a login", vital=True) as note:
        result = host.product("alerts", "test")
        by = "by the mail server localhost:2525"
        assert_contains(result.out, f"delivered to Admin <admin@example.test> {by}", f"delivered to night@example.test {by}")
        found = messages(host, f"{SERVER}: TestAlert")
        assert_equal({message["From"] for message in found}, {"noreply@example.test"}, "senders")
        assert_equal(sorted(message["Recipients"] for message in found), ["admin@example.test", "night@example.test"], "recipients")
        for message in found:
            assert_contains(body(message), f"A test of the alerts of {SERVER}", "severity: info")
        note(f"{result.seconds:.1f} s")
    with check("verify and status know Alertmanager, which listens on 127.0.0.1 only"):
        assert_contains(host.product("verify").out, "Alertmanager is ready, and Prometheus knows it")
        processes = host.json("status")["processes"]
        assert_equal([one["health"] for one in processes if one["unit"] == UNIT], ["ok"], "health")
        bound = [line.split()[4] for line in host.run("ss", "-Htuln").out.splitlines()]
        # 9093 and 9094 are Alertmanager's own defaults: its API and its cluster.
        ports = {place for place in bound if place.rsplit(":", 1)[1] in ("20007", "9093", "9094")}
        assert_equal(ports, {"127.0.0.1:20007"}, "addresses")
    with check("with a login and a webhook whose URL is in a file, both arrive", vital=True):
        sink(host, "alerts", "it is p\"a:ss\\word")
        configure(host, f"{MAIL}, {LOGIN}, webhook: {URL_FILE}")
        host.product("install", "--yes")
        rows = host.json("alerts", "test")
        assert_equal([(row["by"], row["delivered"]) for row in rows], [("email", True), ("email", True), ("webhook", True)],
                     "delivered")
        wait_until("the request", lambda: hook(host, "TestAlert"))
    secrets(host, check)
    real_alert(host, check)
    failures(host, check)
    with check("without receivers, nothing of it remains", vital=True):
        host.write(SETTINGS, BASE)
        host.product("install", "--yes")
        assert UNIT not in host.units()
        for path in (DATA, f"{SECRETS}/alertmanager.yml", f"{CURRENT}/alertmanager"):
            assert_equal(host.run("test", "-e", path, expect=None).code, 1, path)
        assert_equal(host.run("getent", "passwd", "synapse-alertmanager", expect=None).out, "", "account")
        refused = host.product("alerts", "test", expect=(65,))
        assert_contains(refused.err, "alerts.email and alerts.webhook are empty", "help: set one of them")
    host.run("systemctl", "stop", SINK)
    purge(host)
    host.run("rm", "-r", RECEIVED, PASSWORD, URL_FILE, "/root/alert_sink.py")


def secrets(host: Host, check: Checks) -> None:
    with check("only root and Alertmanager can read the password and the URL"):
        for name in ("alertmanager.yml", "alerts_smtp_password", "alerts_webhook"):
            assert_equal(host.run("stat", "--format=%U:%G %a", f"{SECRETS}/{name}").out, "root:root 600\n", name)
        shown = host.shell("for one in /proc/[0-9]*; do grep -qs alert_sink $one/cmdline || "
                           "tr '\\0' ' ' 2>/dev/null <$one/cmdline || true; done").out
        for secret in ("ss\\word", "token-of-the-hook"):
            found = host.run("grep", "--recursive", "--files-with-matches", "--fixed-strings", "--", secret,
                             "/var/lib/synapse-workers", "/etc/systemd/system", expect=(0, 1))
            assert_equal(found.out, "", secret)
            assert secret not in shown, f"a process shows {secret}"


def real_alert(host: Host, check: Checks) -> None:
    stopped = worker("synchrotron1")
    with check("a worker that is stopped is reported by mail and webhook, with the command to run", vital=True) as note:
        host.shell(SHORTEN)
        wait_until("Prometheus that knows Alertmanager", lambda: host.product("verify", expect=None).code == 0)
        host.run("systemctl", "stop", stopped)
        message = wait_until("the message", lambda: mail(host, f"{SERVER}: SynapseProcessDown"))
        assert_contains(body(message), "Synapse process synchrotron1 does not answer", "severity: critical",
                        "run:      synapse-workers status && journalctl -e -u synapse-worker@synchrotron1")
        request = wait_until("the request", lambda: hook(host, "SynapseProcessDown", "firing"))
        note(f"{len(request['alerts'])} alert")
    with check("its end is reported as well", vital=True):
        host.run("systemctl", "start", stopped)
        message = wait_until("the message", lambda: mail(host, f"{SERVER}: resolved: SynapseProcessDown"))
        assert_contains(body(message), "resolved: Synapse process synchrotron1 does not answer", "until: ")
        wait_until("the request", lambda: hook(host, "SynapseProcessDown", "resolved"))
    with check("install restores the shortened files"):
        host.product("install", "--yes")
        host.product("verify")


def failures(host: Host, check: Checks) -> None:
    def fails(*words: str) -> str:
        failed = host.product("alerts", "test", expect=(1,))
        assert_contains(failed.err, *words)
        assert "token-of-the-hook" not in failed.out + failed.err, "the URL is a secret"
        return failed.out

    with check("a wrong password is named, while the webhook delivers") as note:
        sink(host, "alerts", "another one")
        out = fails("not delivered to Admin", "535", "help: correct alerts.smtp_user and the password in alerts.smtp_password_file")
        assert_contains(out, f"delivered to the webhook in {URL_FILE}")
        note(out.splitlines()[0])
    with check("an address that the mail server refuses is named, and the others get the alert"):
        configure(host, f"{MAIL.replace('night@', 'nobody@')}, {LOGIN}")
        host.product("install", "--yes")
        # From here on: the previous alert was for others.
        sink(host, "alerts", "it is p\"a:ss\\word")
        out = fails("not delivered to nobody@example.test", "550", "help: correct the address in alerts.email")
        assert_contains(out, "delivered to Admin <admin@example.test>")
        assert_equal([one["Recipients"] for one in messages(host, f"{SERVER}: TestAlert")], ["admin@example.test"], "recipients")
        configure(host, f"{MAIL}, {LOGIN}, webhook: {URL_FILE}")
        host.product("install", "--yes")
    with check("receivers that do not run are named"):
        host.run("systemctl", "stop", SINK)
        fails("connection refused", "help: correct alerts.smtp_host and alerts.smtp_port", "help: correct alerts.webhook")
    with check("a webhook that refuses is named with its answer"):
        sink(host)
        configure(host, "webhook: http://127.0.0.1:9000/refuse")
        host.product("install", "--yes")
        fails("not delivered to the webhook http://127.0.0.1:9000/refuse", "500")
    with check("a file without a URL, and alerts without metrics, are refused"):
        host.write(URL_FILE, "token\n")
        configure(host, f"webhook: {URL_FILE}")
        refused = host.product("install", "--yes", expect=(65,))
        assert_contains(refused.err, f"{URL_FILE} must contain an http or https URL")
        host.write(SETTINGS, f"server_name: {SERVER}\nalerts: {{webhook: {URL_FILE}}}\n")
        assert_contains(host.product("doctor", expect=(64,)).err, "`alerts.webhook` is set, but `metrics.enabled` is false")
    with check("verify, status and alerts test name an Alertmanager that does not run"):
        host.run("systemctl", "stop", UNIT)
        assert_contains(host.product("verify", expect=(1,)).out, "FAIL  alerts")
        host.product("status", expect=(1,))
        assert_contains(host.product("alerts", "test", expect=(1,)).err, "Alertmanager cannot be used", "help: journalctl")


def configure(host: Host, alerts: str) -> None:
    host.write(SETTINGS, f"{BASE}alerts: {{{alerts}}}\n")


def sink(host: Host, *login: str) -> None:
    """Starts the receivers anew, with or without a login for mail."""
    host.run("systemctl", "stop", SINK, expect=None)
    host.shell(f"rm -rf {RECEIVED}")
    host.run("systemd-run", "--quiet", f"--unit={SINK}", "python3", "/root/alert_sink.py", RECEIVED, *login)
    wait_until("the receivers", lambda: host.shell("ss -Htln | grep -cE ':(2525|9000) ' || true").out.strip() == "2")


def messages(host: Host, subject: str) -> list[Message]:
    """The messages with this subject that have arrived, one for each recipient."""
    found = host.shell(f"cd {RECEIVED} && grep -lxF -- \"$1\" *.eml || true", f"Subject: {subject}").out.split()
    return [email.message_from_string(host.read(f"{RECEIVED}/{name}")) for name in found]


def mail(host: Host, subject: str) -> Message | None:
    """A message with this subject, if one has arrived."""
    return next(iter(messages(host, subject)), None)


def body(message: Message) -> str:
    """The text of a message, which has this part only."""
    parts = [part for part in message.walk() if not part.is_multipart()]
    assert_equal([part.get_content_type() for part in parts], ["text/plain"], "parts of the message")
    return bytes(parts[0].get_payload(decode=True)).decode()


def hook(host: Host, name: str, status: str = "firing") -> Any:
    """The request about an alert, if it has arrived."""
    text = host.shell(f"cat {RECEIVED}/webhook 2>/dev/null || true").out
    requests = map(json.loads, text.splitlines())
    return next((one for one in requests if (one["status"], one["commonLabels"]["alertname"]) == (status, name)), None)
