"""Users: added, listed, changed and deactivated, at once in all workers."""

import json

import pytest

from harness.checks import Checks
from harness.deployment import SERVER, psql
from harness.expect import assert_contains, assert_equal, wait_until
from harness.host import Host, Result

API = "http://127.0.0.1:8008/_matrix/client/v3"
ALICE, BOB = f"@alice.users:{SERVER}", f"@bob.users:{SERVER}"
PASSWORD = "correct horse battery staple"
SOCKET = "/run/synapse-workers/public/main.sock"
# Time for the cache of a worker to learn that a token is gone.
REPLICATION = 20


@pytest.mark.installed
def test_users(host: Host, check: Checks) -> None:
    """Users are added, listed, given another password and deactivated, without a token."""
    def user(*words: str, stdin: str = "", expect: tuple[int, ...] = (0,)) -> Result:
        return host.run("synapse-workers", "user", *words, stdin=stdin, expect=expect)

    with check("without an administrator, a change is refused with the command that adds one"):
        # Cases that ran before have left some.
        psql(host, "update users set admin = 0", "synapse")
        assert_contains(user("password", BOB, stdin=PASSWORD, expect=(1,)).err, "no administrator", "user add NAME --admin")
    with check("an administrator is added with a password from standard input, and logs in", vital=True):
        answer = json.loads(user("add", "alice.users", "--admin", "--json", stdin=f"{PASSWORD}\n").out)
        assert_equal(answer, {"user": ALICE, "password": None}, "answer")
        assert_equal(status(host, login(host, ALICE, PASSWORD), f"/_synapse/admin/v1/users/{ALICE}/admin"), 200, "admin API")
    with check("a user is added with a generated password, and is no administrator", vital=True):
        generated = json.loads(user("add", BOB, "--generate", "--json").out)["password"]
        bob = login(host, BOB, generated)
        assert_equal(status(host, bob, f"/_synapse/admin/v1/users/{ALICE}/admin"), 403, "admin API")
    with check("the list has both, and the administrator is marked"):
        users = {each["name"]: each for each in json.loads(user("list", "--json").out)["users"]}
        assert_equal((users[ALICE]["admin"], users[BOB]["admin"], users[BOB]["deactivated"]), (True, False, False), "list")
        assert_contains(user("list").out, f"{ALICE}  administrator", BOB)
    with check("names and passwords that are not allowed are refused with the rule"):
        assert_contains(user("add", "Bob", stdin="x", expect=(64,)).err, "`B` is not allowed")
        assert_contains(user("add", "@bob:other.org", stdin="x", expect=(64,)).err, "is a user of other.org")
        assert_contains(user("add", "carol", expect=(64,)).err, "allowed are 1 to 512")
        assert_contains(user("add", BOB, stdin=PASSWORD, expect=(1,)).err, "M_USER_IN_USE")
        assert_contains(user("password", f"@absent:{SERVER}", stdin=PASSWORD, expect=(1,)).err, "M_NOT_FOUND")
    with check("with another password, the sessions end in all workers"):
        assert_equal(works(host, bob), [200, 200], "before")
        user("password", BOB, stdin=PASSWORD)
        wait_until("sessions ended", lambda: works(host, bob) == [401, 401], REPLICATION)
        bob = login(host, BOB, PASSWORD)
    with check("--keep-sessions keeps them"):
        user("password", BOB, "--keep-sessions", stdin=f"{PASSWORD} 2")
        assert_equal(works(host, bob), [200, 200], "session")
        login(host, BOB, f"{PASSWORD} 2")
    with check("a deactivated user cannot log in, and its sessions end in all workers"):
        user("deactivate", BOB, "--yes")
        wait_until("sessions ended", lambda: works(host, bob) == [401, 401], REPLICATION)
        assert_equal(login_status(host, BOB, f"{PASSWORD} 2"), 403, "login")
        names = [each["name"] for each in json.loads(user("list", "--json").out)["users"]]
        everyone = {each["name"]: each["deactivated"] for each in json.loads(user("list", "--all", "--json").out)["users"]}
        assert_equal((BOB in names, everyone[BOB]), (False, True), "list")
    with check("no token of these commands is left, and no password is in the journal"):
        assert_equal(psql(host, "select token from access_tokens where starts_with(token, 'synapse_workers_')", "synapse"), [], "tokens")
        assert_equal(host.run("journalctl", "--quiet", f"--grep={PASSWORD}|{generated}", expect=(1,)).out, "", "journal")
    with check("while the main process is down, the error names the command that shows it"):
        host.run("systemctl", "stop", "synapse-main.service", "synapse-main.socket")
        try:
            assert_contains(user("list", expect=(1,)).err, "the main process does not answer", "synapse-workers status")
        finally:
            host.run("systemctl", "start", "synapse-main.socket", "synapse-main.service")
    with check("the last administrator is deactivated by its own rights"):
        user("deactivate", ALICE, "--yes")
        assert_contains(user("list", expect=(1,)).err, "no administrator")


def login_answer(host: Host, user: str, password: str) -> tuple[int, dict]:
    body = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": password}
    out = host.run("curl", "-s", "-w", "\n%{http_code}", "-d", "@-", f"{API}/login", stdin=json.dumps(body)).out
    text, _, code = out.rpartition("\n")
    return int(code), json.loads(text)


def login_status(host: Host, user: str, password: str) -> int:
    return login_answer(host, user, password)[0]


def login(host: Host, user: str, password: str) -> str:
    code, answer = login_answer(host, user, password)
    assert_equal(code, 200, f"login of {user}")
    return answer["access_token"]


def status(host: Host, token: str, path: str) -> int:
    """The status of a request to the main process, past nginx, which refuses the admin API to the internet."""
    return answered(host, token, "--unix-socket", SOCKET, "-H", "X-Forwarded-For: 127.0.0.1", f"http://localhost{path}")


def works(host: Host, token: str) -> list[int]:
    """The answers of a sync worker and of a worker for other reads."""
    return [answered(host, token, f"{API}{path}") for path in ("/sync?timeout=0", "/joined_rooms")]


def answered(host: Host, token: str, *words: str) -> int:
    """The status of a request with a token, with these words for curl."""
    curl = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Authorization: Bearer {token}")
    return int(host.run(*curl, *words).out)
