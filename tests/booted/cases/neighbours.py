"""The distribution's own services, which were running before us."""

from cases.deployment import neighbours
from hosts import contains, same


def run(host, check):
    with check("nginx, Redis and PostgreSQL of the distribution were never restarted"):
        same(host.invocations(*neighbours(host)), host.neighbours, "their InvocationIDs")
    with check("they answer as before"):
        contains(host.run("curl", "--silent", "--show-error", "http://127.0.0.1:80/").out, "Welcome to nginx")
        contains(host.run("redis-cli", "-h", "127.0.0.1", "ping").out, "PONG")
