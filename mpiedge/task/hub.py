"""Tasks by name from the Hugging Face hub.

Apart because ``datasets`` is an optional extra, imported only when a run file names no data.
"""

from types import ModuleType

from mpiedge.errors import BadInput
from mpiedge.task.table import Table

GLUE = "nyu-mll/glue"


def hub_table(name: str, split: str) -> Table:
    """One split of a GLUE task, as the hub has it."""
    try:
        found = _datasets().load_dataset(GLUE, name, split=split)
    except BadInput:
        raise
    # Without a network this ends in any of a dozen classes of three libraries.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BadInput(
            f"task {name} cannot be had from the hub ({GLUE}): {reason}; set task.data to a "
            "folder with its train and validation files"
        ) from error
    columns = tuple(found.column_names)
    rows = list(zip(*(found[column] for column in columns), strict=True))
    return Table(f"{GLUE}/{name}/{split}", columns, rows, range(1, len(rows) + 1))


def _datasets() -> ModuleType:
    try:
        import datasets  # noqa: PLC0415  an optional extra
    except ImportError:
        raise BadInput(
            "task.data is not set and the package datasets is not installed; set task.data to a "
            "folder with train and validation files, or: pip install 'mpiedge[hub]'"
        ) from None
    module: ModuleType = datasets
    return module
