"""What is said of a failure that nobody foresaw: a line, and where its trace was kept.

With ``mpiedge --debug`` the trace itself.  Nothing is lost either way: who reports a bug has it.
"""

import os
import tempfile
import traceback

VARIABLE = "MPIEDGE_DEBUG"


def told(failure: BaseException) -> str:
    """The failure in words."""
    trace = "".join(traceback.format_exception(failure)).rstrip()
    if os.environ.get(VARIABLE):
        return trace
    try:
        handle, path = tempfile.mkstemp(prefix="mpiedge-trace-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{trace}\n")
    except OSError:  # no room for it: then it is said
        return trace
    message = " ".join(str(failure).split())
    words = f"{type(failure).__name__}: {message}".rstrip(": ")
    return f"{words}; not foreseen: its trace is in {path}, or is printed by mpiedge --debug ..."
