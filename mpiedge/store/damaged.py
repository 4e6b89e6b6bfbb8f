"""The error for stored activations that are not what was written."""

from collections.abc import Iterable

from mpiedge.errors import BadInput

_SHOWN = 5  # examples named in the message


class Damaged(BadInput):
    """Examples whose stored activations fail their checksum; ``examples`` has their ids."""

    def __init__(self, examples: Iterable[int]) -> None:
        self.examples = tuple(sorted(examples))
        shown = ", ".join(map(str, self.examples[:_SHOWN]))
        more = len(self.examples) - _SHOWN
        names = f"{shown} and {more} more" if more > 0 else shown
        super().__init__(
            f"activation cache: what is stored of example {names} is damaged or gone; "
            "see 'mpiedge cache verify', and 'mpiedge cache remove' to record anew"
        )
