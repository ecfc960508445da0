#!/usr/bin/env python3
"""A browser that logs in by single sign-on: `single_sign_on.py SERVER USER`, in the network of the host.

It opens https://SERVER at 127.0.0.1:443, fills in the form of the provider and, at the first login, the one in which the
user chooses a name. Prints, as JSON: the user ID, the size of the response headers with the cookies, the attributes of
the cookies, and the marker of each request by its path.
"""

import http.client
import json
import ssl
import sys
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from matrix import Record, Unexpected, assert_equal

LOGIN = "/_matrix/client/v3/login"
PICK = "/_synapse/client/pick_username"
# Where the client wants the user back. With a long URL, the cookies do not fit into a page of 4096 bytes.
APP = "https://app.example.test/?state=" + "x" * 1500


@dataclass
class Page:
    """A response."""

    url: str
    status: int
    headers: http.client.HTTPMessage
    body: str

    def redirect(self) -> str:
        """The URL to which the browser is sent."""
        if self.status not in (302, 303) or "Location" not in self.headers:
            raise Unexpected(f"{self.url}: wanted a redirect, got {self.status} {self.body[:2000]}")
        return urljoin(self.url, self.headers["Location"])

    def json(self) -> Any:
        assert_equal((self.url, self.status), (self.url, 200))
        return json.loads(self.body)


class Browser:
    """Keeps cookies, and sends those of the server to the server only."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.record = Record()
        self.cookies: dict[str, str] = {}
        self.attributes: set[str] = set()
        self.markers: dict[str, str] = {}

    def open(self, url: str, form: dict[str, str] | None = None, body: Any = None, token: str | None = None) -> Page:
        parts = urlsplit(url)
        marker = self.record.marker()
        headers = {"Host": parts.netloc, "User-Agent": marker}
        if parts.hostname == self.server:
            self.markers[parts.path] = marker
            # The certificate of the test names no authority.
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", 443, timeout=60, context=ssl._create_unverified_context())
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        content = None
        if form is not None:
            content, headers["Content-Type"] = urlencode(form), "application/x-www-form-urlencoded"
        elif body is not None:
            content, headers["Content-Type"] = json.dumps(body), "application/json"
        if token:
            headers["Authorization"] = f"Bearer {token}"
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("GET" if content is None else "POST", path, content, headers)
        response = connection.getresponse()
        page = Page(url, response.status, response.headers, response.read().decode())
        connection.close()
        if parts.hostname == self.server:
            self._keep_cookies(page)
        return page

    def _keep_cookies(self, page: Page) -> None:
        for line in page.headers.get_all("Set-Cookie") or ():
            for name, morsel in SimpleCookie(line).items():
                if morsel.value:
                    self.cookies[name] = morsel.value
                    self.attributes.add(f"{name}: {'; '.join(line.split('; ')[1:])}")
                else:
                    self.cookies.pop(name, None)


def log_in(browser: Browser, user: str) -> dict[str, Any]:
    base = f"https://{browser.server}"
    page = browser.open(f"{base}{LOGIN}/sso/redirect/oidc-example?{urlencode({'redirectUrl': APP})}")
    provider = page.redirect()
    size = sum(len(name) + len(value) + 4 for name, value in page.headers.items())
    form = browser.open(provider)
    assert_equal((form.status, 'name="sub"' in form.body), (200, True))
    callback = browser.open(provider, form={"sub": user}).redirect()
    assert_equal(callback.partition("?")[0], f"{base}/_synapse/client/oidc/callback")
    page = browser.open(callback)
    if PICK in page.redirect():
        page = pick_username(browser, page.redirect(), user)
    query = parse_qs(urlsplit(page.redirect()).query)
    assert_equal(query["state"], [APP.partition("=")[2]])
    login = {"type": "m.login.token", "token": query["loginToken"][0]}
    access = browser.open(f"{base}{LOGIN}", body=login).json()["access_token"]
    again = browser.open(f"{base}{LOGIN}", body=login)
    assert_equal((again.status, json.loads(again.body)["errcode"]), (403, "M_FORBIDDEN"))
    who = browser.open(f"{base}/_matrix/client/v3/account/whoami", token=access).json()
    return {"user": who["user_id"], "headers": size, "cookies": sorted(browser.attributes), "markers": browser.markers}


def pick_username(browser: Browser, form: str, name: str) -> Page:
    """The pages of the first login, whose session is in the memory of one process."""
    assert_equal(browser.open(form).status, 200)
    available = browser.open(urljoin(form, f"{PICK}/check?username={name}")).json()
    assert_equal(available, {"available": True})
    return browser.open(browser.open(form, form={"username": name}).redirect())


def main() -> int:
    browser = Browser(sys.argv[1])
    try:
        print(json.dumps(log_in(browser, sys.argv[2])))
    except Unexpected as error:
        print(f"FAILED {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
