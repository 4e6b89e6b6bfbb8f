"""One model is built or loaded at a time in a process.

transformers and PEFT replace functions of torch while they build a model on the meta device, for
the whole process.  Ranks may be threads of one process, and one that loads its weights meanwhile
would find them without storage.
"""

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_BUILDING = threading.RLock()


def one_at_a_time(build: Callable[P, T]) -> Callable[P, T]:
    """A function during which no other thread builds or loads a model."""

    @wraps(build)
    def alone(*args: P.args, **kwargs: P.kwargs) -> T:
        with _BUILDING:
            return build(*args, **kwargs)

    return alone
