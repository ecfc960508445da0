"""The users, rooms and names that the steps of a scenario share."""

from dataclasses import dataclass

from matrix import Client, Record


@dataclass
class World:
    """The users and rooms of a run. Alice's paths are encoded as a browser encodes them, Bob's completely."""

    base_url: str
    shared_secret: str | None = None
    # Created by one step for later steps.
    server: str = ""
    room: str = ""
    public: str = ""
    message: str = ""
    avatar: str = ""

    def __post_init__(self) -> None:
        self.record = Record()
        run = self.record.run
        self.alice_name, self.bob_name, self.password = f"alice{run}", f"bob{run}", f"secret {run}"
        self.alice_display, self.needle, self.rule = f"Wonder{run}", f"needle{run}", f"rule{run}"
        self.room_name = f"Room of {run}"
        self.alice = Client(self.base_url, self.record)
        self.bob = Client(self.base_url, self.record, safe="")
        self.anonymous = Client(self.base_url, self.record)

    def since(self, *release: int) -> bool:
        """Whether the server is of this release of Synapse or a later one."""
        version = self.anonymous.get("/_matrix/federation/v1/version")["server"]["version"]
        return tuple(int(part) for part in version.split(".")[:2]) >= release
