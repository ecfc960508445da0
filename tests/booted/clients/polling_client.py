"""A client that polls continuously: `polling_client.py SOURCE ADDRESS PORT SECONDS`.

Each request has a connection of its own. Prints how many were answered and how long the slowest took; fails if one was
not answered with 200.
"""

import http.client
import sys
import time

PAUSE = 0.05


def main(source: str, address: str, port: str, seconds: str) -> int:
    begun, times, failed = time.monotonic(), [], []
    while time.monotonic() < begun + float(seconds):
        since = time.monotonic()
        connection = http.client.HTTPConnection(address, int(port), timeout=10, source_address=(source, 0))
        try:
            connection.request("GET", "/_matrix/client/versions")
            answer = connection.getresponse()
            answer.read()
            said = answer.status
        except (OSError, http.client.HTTPException) as error:
            said = repr(error)
        finally:
            connection.close()
        times.append(time.monotonic() - since)
        if said != 200:
            failed.append(f"after {since - begun:.1f} s: {said} in {times[-1]:.2f} s")
        time.sleep(PAUSE)
    print("\n".join(failed[:5]))
    print(f"{len(times)} requests, {len(failed)} failed, the slowest {max(times):.3f}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
