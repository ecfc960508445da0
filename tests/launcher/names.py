"""The header that names the user of an access token."""

import base64
import json
from urllib.parse import quote

from launched import Client, LauncherTestCase

HEADER = "X-Synapse-Workers-User"


def token_user(localpart):
    """The user part of Synapse's own token (handlers/auth.py, generate_access_token)."""
    return base64.b64encode(localpart.encode()).decode().rstrip("=")


class Names(LauncherTestCase):
    def ask(self, body, headers):
        client = Client(self.public, f"/whoami/{quote(body, safe='')}", headers=headers)
        self.assertEqual(client.result(), (200, body.encode() + b"\n"))
        return client.headers[HEADER]

    def test_the_response_of_whoami_names_the_user_if_nginx_asks(self):
        self.start(options=("--name-users",))
        for localpart in ("alice", "a", "ab", "a@b", "ünïcode", "a/b=c", "x" * 240):
            whoami = json.dumps({"user_id": f"@{localpart}:example.test:8448", "is_guest": False}, ensure_ascii=False)
            self.assertEqual(self.ask(whoami, {HEADER: "1"}), token_user(localpart))
            self.assertIsNone(self.ask(whoami, {}))

    def test_another_response_names_no_user(self):
        self.start(options=("--name-users",))
        for body in (
            '{"errcode":"M_UNKNOWN_TOKEN","error":"x"}', "[]", "1", "{", "quick", '{"user_id":1}', '{"user_id":""}',
            r'{"user_id":"@\ud800:x"}', "[" * 4000, json.dumps({"user_id": "@alice:x", "events": "x" * 9000}),
        ):
            self.assertIsNone(self.ask(body, {HEADER: "1"}), body)

    def test_users_are_named_without_socket_activation(self):
        for path in (self.public, self.internal):
            path.unlink()
        self.start(activated=False, options=("--name-users",))
        self.assertEqual(self.ask('{"user_id":"@alice:x"}', {HEADER: "1"}), token_user("alice"))

    def test_without_the_option_nothing_is_named(self):
        self.start()
        self.assertIsNone(self.ask('{"user_id":"@alice:x"}', {HEADER: "1"}))
