"""Lets a rank be disturbed from outside: Python imports this at its start where it is on the path.

SIGUSR1 raises an exception wherever the rank is; SIGUSR2 ends the process without a goodbye.
"""

import os
import signal


class Disturbed(RuntimeError):
    """Something that nobody expected."""


def _raise(number, frame):
    raise Disturbed("on purpose")


def _leave(number, frame):
    os._exit(3)


signal.signal(signal.SIGUSR1, _raise)
signal.signal(signal.SIGUSR2, _leave)
