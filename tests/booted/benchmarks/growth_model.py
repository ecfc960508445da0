"""How far one installation carries: what its processes need with other numbers of workers, from the costs of one size."""

from dataclasses import dataclass

# From this part of one processor on, `advise` calls a process saturated (src/advice/rules/mod.rs).
SATURATED = 0.85
# The connections that PostgreSQL allows without a setting (manual, 20.3.1).
DEFAULT_CONNECTIONS = 100

ASSUMPTIONS = (
    "Every request costs what it costs in the mix of this benchmark; other users ask for other things.",
    "Requests divide evenly among the workers. Stream writers other than event persisters cannot divide theirs without limit.",
    "Each process of Synapse receives every message that another one publishes in Redis, and needs as much time for it.",
    "The costs of Redis and what it sends grow with the number of processes that receive a message.",
    "The cost of a request in main and in PostgreSQL does not depend on the number of workers.",
    f"Connections with a * are more than the {DEFAULT_CONNECTIONS} that PostgreSQL allows without a setting.",
    "Each process can use one processor, whatever else runs. Memory, disks and networks do not end before processors.",
)


@dataclass(frozen=True)
class Measured:
    """The costs of a server with `workers`; seconds of a processor."""

    workers: int
    # For one request, beyond `idle`: in main, in all workers together, in a worker that no request reaches, in Redis, in PostgreSQL.
    main: float
    serving: float
    following: float
    redis: float
    postgres: float
    # Bytes that Redis sends for one request, to all processes.
    sent: float
    # What a process of Synapse without requests needs in a second.
    idle: float
    # The connections to PostgreSQL that a process may open.
    pool: int


@dataclass(frozen=True)
class Forecast:
    """A server with `workers`, at the rate at which its first part is saturated. Rates are requests a second."""

    workers: int
    # The rates that the parts carry, by their name.
    limits: dict[str, float]
    # Parts of one processor.
    main: float
    redis: float
    # Numbers of processors.
    postgres: float
    synapse: float
    # Bytes a second that Redis sends.
    sent: float
    # Connections to PostgreSQL that all processes may open.
    connections: int

    @property
    def ends_first(self) -> str:
        return min(self.limits, key=lambda part: self.limits[part])

    @property
    def rate(self) -> float:
        return self.limits[self.ends_first]


def forecast(measured: Measured, workers: int) -> Forecast:
    """What this number of workers carries."""
    # The work of a request that workers divide among them; the rest, following the others, each of them has itself.
    divided = max(measured.serving - measured.workers * measured.following, 0.0)
    worker = divided / workers + measured.following
    # Redis sends every message to all processes, and main is one of them.
    more = (workers + 1) / (measured.workers + 1)
    redis, sent = measured.redis * more, measured.sent * more
    room = SATURATED - measured.idle
    limits = {"workers": carried(room, worker), "main": carried(room, measured.main), "Redis": carried(SATURATED, redis)}
    rate = min(limits.values())
    processes = workers + 1
    return Forecast(
        workers=workers,
        limits=limits,
        main=measured.idle + rate * measured.main,
        redis=rate * redis,
        postgres=rate * measured.postgres,
        synapse=processes * measured.idle + rate * (measured.main + workers * worker),
        sent=rate * sent,
        connections=processes * measured.pool,
    )


def carried(room: float, cost: float) -> float:
    """The rate at which work that costs so much for each request fills this part of a processor."""
    return max(room, 0.0) / cost if cost > 0 else float("inf")


def table(forecasts: list[Forecast]) -> list[str]:
    """The lines of a table, a row for each forecast."""
    rows = [("workers", "they carry", "all carry", "ends first", "main", "Redis", "it sends", "PostgreSQL", "Synapse", "connections")]
    for one in forecasts:
        connections = f"{one.connections}{'*' if one.connections > DEFAULT_CONNECTIONS else ' '}"
        rows.append((str(one.workers), f"{one.limits['workers']:.0f}/s", f"{one.rate:.0f}/s", one.ends_first, f"{one.main:.0%}",
                     f"{one.redis:.0%}", f"{one.sent / 1e6:.1f} MB/s", f"{one.postgres:.1f} CPU", f"{one.synapse:.1f} CPU", connections))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
