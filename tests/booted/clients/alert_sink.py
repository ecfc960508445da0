"""A mail server and the receiver of a webhook on 127.0.0.1, run in a host: alert_sink.py DIRECTORY [USER PASSWORD].

Each message becomes a file DIRECTORY/N.eml, each request a line of DIRECTORY/webhook. The path /refuse answers 500.
"""

import itertools
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

MAIL_PORT, WEBHOOK_PORT = 2525, 9000
DIRECTORY = Path(sys.argv[1])
LOGIN = tuple(word.encode() for word in sys.argv[2:4])
NUMBERS = itertools.count()


class Mail:
    """Stores each message, and refuses those to the user nobody."""

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]) -> str:  # noqa: N802
        if address.startswith("nobody@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        text = f"Recipients: {', '.join(envelope.rcpt_tos)}\n".encode() + (envelope.original_content or b"").replace(b"\r\n", b"\n")
        file = DIRECTORY / f"{next(NUMBERS)}.eml"
        file.with_suffix(".new").write_bytes(text)
        file.with_suffix(".new").rename(file)
        return "250 stored"


class Webhook(BaseHTTPRequestHandler):
    """Stores the body of each request."""

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        refused = self.path == "/refuse"
        if not refused:
            with (DIRECTORY / "webhook").open("a", encoding="utf-8") as file:
                file.write(body.strip() + "\n")
        self.send_response(500 if refused else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: object) -> AuthResult:
    given = (login.login, login.password) if isinstance(login, LoginPassword) else ()
    return AuthResult(success=given == LOGIN, handled=False)


DIRECTORY.mkdir(exist_ok=True)
# The challenges of aiosmtpd for LOGIN are not those that Alertmanager knows.
Controller(Mail(), hostname="127.0.0.1", port=MAIL_PORT, authenticator=authenticate if LOGIN else None,
           auth_required=bool(LOGIN), auth_require_tls=False, auth_exclude_mechanism=["LOGIN"]).start()
HTTPServer(("127.0.0.1", WEBHOOK_PORT), Webhook).serve_forever()
