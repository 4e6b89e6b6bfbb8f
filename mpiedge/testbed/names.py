"""What everything that a testbed makes on this machine is called.

All names carry a token that is drawn anew for every testbed, so that taking one down touches only
what was made for it, and follow from it, so that a crash while it is built leaves nothing unknown.
"""

import secrets
from dataclasses import dataclass

PREFIX = "mpiedge"
SWITCH = "switch"  # the namespace that all links lead to


@dataclass(frozen=True)
class Names:
    """The names of one testbed's things."""

    token: str

    @property
    def group(self) -> str:
        """The control group that holds the devices' groups."""
        return f"{PREFIX}-{self.token}"

    @property
    def scratch(self) -> str:
        """The folder in which devices have their temporary files, below the machine's own."""
        return f"{PREFIX}-testbed-{self.token}"

    @property
    def switch(self) -> str:
        """The network namespace of the switch."""
        return self.namespace(SWITCH)

    def namespace(self, device: str) -> str:
        """The network namespace of a device."""
        return f"{PREFIX}-{self.token}-{device}"


def drawn() -> Names:
    """Names that nothing has yet."""
    return Names(secrets.token_hex(3))
