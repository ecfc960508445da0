"""HTTP requests with the host's curl."""

from harness.host import Host

# Status, version of HTTP, headers by their names in lower case, body.
Answer = tuple[int, str, dict[str, str], str]


def fetch(host: Host, url: str, *options: str) -> Answer:
    """Sends a request with curl and these options, and returns the answer."""
    result = host.run("curl", "--silent", "--show-error", "--include", *options, url)
    text = result.out.replace("\r\n", "\n")
    while text.startswith("HTTP/1.1 100"):
        text = text.partition("\n\n")[2]
    head, _, body = text.partition("\n\n")
    status, *lines = head.split("\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    return int(status.split()[1]), status.split()[0], headers, body
