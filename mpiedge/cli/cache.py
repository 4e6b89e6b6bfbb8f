"""``mpiedge cache``: what is stored of frozen backbones' activations, and getting rid of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mpiedge.errors import BadInput
from mpiedge.store.place import root

_Command = TypeVar("_Command", bound=Callable[..., Any])
REMOVE_EXAMPLES = """\b
Examples:
  mpiedge cache remove 3f2a
  mpiedge cache remove --all --yes
"""
VERIFY_EXAMPLES = """\b
Examples:
  mpiedge cache verify
  mpiedge cache verify 3f2a
"""
LIST_EXAMPLES = """\b
Examples:
  mpiedge cache list
  mpiedge cache list --folder /mnt/disk/cache
  mpiedge cache list --json
"""


@click.group()
def cache() -> None:
    """Look at stored activations, verify them, or remove them.

    A cache is named by its key, the name of its folder, or by the key's first letters.
    """


def _folder(command: _Command) -> _Command:
    return click.option(
        "--folder",
        default="",
        help="The setting cache.folder of the run; left out: its default.",
    )(command)


@cache.command("list", epilog=LIST_EXAMPLES)
@_folder
@click.option("--json", "for_program", is_flag=True, help="Print them as JSON.")
def list_caches(folder: str, for_program: bool) -> None:
    """List the caches: model, task, size, and how many examples are whole."""
    from mpiedge.store import inventory, space  # noqa: PLC0415 - not for --help

    place = root(folder)
    found = [inventory.look(home) for home in inventory.homes(place)]
    if for_program:
        click.echo(json.dumps([inventory.values(one) for one in found], indent=1))
        return
    for one in found:
        about = one.description
        words = f"{about.model}  {about.task}  {about.dtype}  " if about else "unknown  "
        state = "complete" if one.complete else "incomplete"
        click.echo(f"{one.home.name}  {words}{space.size(one.size)}  {state}")
        for split in one.splits:
            of = "?" if split.examples is None else split.examples
            click.echo(f"  {split.name}: {split.whole} of {of} examples")
    total = space.size(sum(one.size for one in found))
    click.echo(f"{_caches(len(found))}, {total} in {place}")


@cache.command(epilog=VERIFY_EXAMPLES)
@click.argument("key", default="")
@_folder
@click.pass_context
def verify(context: click.Context, /, key: str, folder: str) -> None:
    """Read everything that is stored, or the cache KEY, and say what is damaged.

    Ends with 1 if anything is.  What is damaged is never used: it is recorded anew.
    """
    from mpiedge.store.inventory import rank_folders  # noqa: PLC0415
    from mpiedge.store.verify import verify as verdict_of  # noqa: PLC0415

    sound = True
    for home in _chosen(root(folder), key):
        for place in rank_folders(home):
            verdict = verdict_of(place)
            sound = sound and verdict.sound
            name = place.relative_to(home.parent)
            state = "sound" if verdict.sound else "DAMAGED"
            click.echo(f"{name}: {verdict.records} records, {state}")
            for path in verdict.files:
                click.echo(f"  {path.name} is not whole: what it held will be recorded anew")
            if verdict.examples:
                click.echo(f"  examples {', '.join(map(str, verdict.examples))}")
    context.exit(0 if sound else 1)


@cache.command(epilog=REMOVE_EXAMPLES)
@click.argument("key", default="")
@click.option("--all", "everything", is_flag=True, help="Remove every cache.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_folder
def remove(key: str, everything: bool, yes: bool, folder: str) -> None:
    """Remove the cache KEY, or with --all every cache."""
    from mpiedge.store import inventory, space  # noqa: PLC0415

    if bool(key) == everything:
        raise BadInput("remove which cache?  Give its key, or --all for every one")
    found = [inventory.look(home) for home in _chosen(root(folder), key)]
    size = space.size(sum(one.size for one in found))
    names = ", ".join(one.home.name for one in found)
    if found and not yes:
        click.confirm(f"Remove {names} ({size})?", abort=True)
    for one in found:
        inventory.remove(one.home)
    click.echo(f"removed {_caches(len(found))}, {size}")


def _caches(count: int) -> str:
    return "1 cache" if count == 1 else f"{count} caches"


def _chosen(place: Path, key: str) -> list[Path]:
    """The folders of the caches that ``key`` names; all for an empty one."""
    from mpiedge.store.inventory import homes  # noqa: PLC0415

    every = homes(place)
    found = [home for home in every if home.name.startswith(key)]
    if key and len(found) != 1:
        names = ", ".join(home.name for home in found or every) or "none"
        raise BadInput(
            f"{key} names {_caches(len(found))} in {place}, where there are {names}; "
            "give the key of one"
        )
    return found
