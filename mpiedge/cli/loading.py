"""The imports of a command that needs torch and transformers."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Imports without the garbage collector (our design).

    They make hundreds of thousands of objects that all stay, and it would go through them again
    and again: an eighth of the time that a start takes of the processor.  At the end of the process
    it would take them apart one by one before the memory is given back as a whole: a second.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
        atexit.unregister(gc.freeze)
        atexit.register(gc.freeze)
