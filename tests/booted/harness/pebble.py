"""Pebble, an authority that speaks ACME, with an internal authority in front of its API and a name server of its own.

It verifies names at port 80, as Let's Encrypt does.
"""

import json
from collections.abc import Iterable

from harness.expect import wait_until
from harness.host import Host

NAME = "ca.example.test"
# The latter changes with each start of Pebble, so it is in a directory that no listing contains.
CA, ROOT = "/root/ca", "/var/tmp/pebble.pem"
DIRECTORY = f"https://{NAME}:14000/dir"
# Where Pebble asks for names.
NAMES = "127.0.0.1:8053"
# An authority for the server of the authority, the options of Pebble, and the address of that server.
PREPARE = r"""
mkdir -p "$1"; cd "$1"
new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl req -x509 $new -keyout ca.key -out ca.pem -days 2 -subj /CN=internal
openssl req -new $new -keyout key.pem -out request -subj "/CN=$2" -addext "subjectAltName=DNS:$2"
openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out cert.pem
cat >pebble.json <<TEXT
{"pebble": {"listenAddress": "0.0.0.0:14000", "managementListenAddress": "127.0.0.1:15000", "certificate": "$1/cert.pem",
 "privateKey": "$1/key.pem", "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": false}}
TEXT
echo "127.0.0.1 $2" >>/etc/hosts
systemd-run --quiet --collect --unit=names pebble-challtestsrv -http01 '' -https01 '' -tlsalpn01 '' -doh '' -defaultIPv6 '' \
    -dns01 "$3" -management 127.0.0.1:8055
"""
# By default Pebble refuses one nonce of twenty on purpose, and certbot repeats a request only once.
START = """
systemd-run --quiet --collect --unit=pebble --setenv=PEBBLE_VA_NOSLEEP=1 --setenv=PEBBLE_WFE_NONCEREJECT=0 \\
    pebble -config "$1/pebble.json" -dnsserver "$2"
"""
END = 'systemctl stop pebble names || true; rm -r "$1"; sed -i "/ $2\\$/d" /etc/hosts'


def prepare(host: Host, *addresses: str) -> None:
    """Starts the name server, at these addresses too. The authority itself is down."""
    host.shell(PREPARE, CA, NAME, ",".join([NAMES, *addresses]))


def start(host: Host) -> None:
    """Starts the authority, and stores its root certificate."""
    host.shell(START, CA, NAMES)
    wait_until("Pebble answers", lambda: host.run("curl", "--silent", "--insecure", "--output", ROOT,
                                                  "https://127.0.0.1:15000/roots/0", expect=None).code == 0)


def end(host: Host) -> None:
    host.shell(END, CA, NAME)


def names(on: Host, verb: str, /, **question: str | Iterable[str]) -> None:
    """Changes the answers of the name server."""
    on.run("curl", "--silent", "--fail", "--data", json.dumps(question), f"http://127.0.0.1:8055/{verb}")
