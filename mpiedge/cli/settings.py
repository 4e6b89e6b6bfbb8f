"""``mpiedge settings``: every setting of a run file, its default and what it means."""

from typing import Any

import click

from mpiedge.config import described
from mpiedge.settings import Declared

_ABOUT = (
    "A run file is TOML. Every setting is named `section.key` in errors and in "
    "`--set section.key=value`. `mpiedge settings` prints this page."
)

EXAMPLES = """\b
Examples:
  mpiedge settings
  mpiedge settings > settings.md
"""


@click.command(epilog=EXAMPLES)
def settings() -> None:
    """List every setting of a run file as a Markdown table a section."""
    click.echo(reference(), nl=False)


def reference() -> str:
    """The list, as it also stands in ``docs/settings.md``."""
    lines = ["# Settings of a run file", "", _ABOUT]
    current = ""
    for section, key, default, declared in described():
        if section != current:
            lines += ["", f"## [{section}]", "", "| setting | default | meaning |", "|---|---|---|"]
            current = section
        lines.append(f"| `{key}` | {_written(default)} | {_meaning(declared)} |")
    return "\n".join([*lines, ""])


def _written(value: Any) -> str:
    if value in ("", []):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(declared: Declared) -> str:
    bounds = [
        f"one of {', '.join(declared.choices)}" if declared.choices else "",
        f"at least {declared.least:g}" if declared.least is not None else "",
        f"above {declared.above:g}" if declared.above is not None else "",
        f"at most {declared.most:g}" if declared.most is not None else "",
    ]
    said = "; ".join(bound for bound in bounds if bound)
    return f"{declared.doc} ({said})" if said else declared.doc
