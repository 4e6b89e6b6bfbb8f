"""Things that happen to files: bytes that changed, lines that went, values that nobody meant."""

import random
import re
from typing import Any

import tomli_w

VALUES: tuple[Any, ...] = (
    -1,
    0,
    1,
    3,
    2**31,
    2**70,
    -0.5,
    1e-300,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "none",
    "../..",
    "\x00",
    "é" * 300,
    True,
    False,
    [],
    [0],
    [-1, 5],
    [1e308],
    [[1]],
    ["x"],
    {},
)


def damaged(content: bytes, dice: random.Random) -> bytes:
    """Bytes with one to four changes of any kind."""
    row = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(row) + 1)
        how = dice.randrange(5)
        if how == 0:
            del row[at:]
        elif how == 1:
            del row[at : at + dice.randint(1, 20)]
        elif how == 2:
            row[at:at] = bytes(dice.randrange(256) for _ in range(dice.randint(1, 8)))
        elif how == 3:
            row[at:at] = row[: dice.randint(1, 40)]
        elif at < len(row):
            row[at] ^= 1 << dice.randrange(8)
    return bytes(row)


def mistaken(values: dict[str, dict[str, Any]], dice: random.Random) -> str:
    """A run file in which one or two settings have values that nobody meant."""
    changed = {section: dict(rows) for section, rows in values.items()}
    for _ in range(dice.randint(1, 2)):
        section = dice.choice(sorted(changed))
        key = dice.choice(sorted(changed[section]))
        alike = [each for each in VALUES if type(each) is type(changed[section][key])]
        changed[section][key] = dice.choice(VALUES if dice.random() < 0.2 else alike)
    return tomli_w.dumps(changed)


def nonsense(text: str, dice: random.Random) -> str:
    """A text of which one number or word became something that nobody meant."""
    found = list(re.finditer(r"-?\d+(?:\.\d+)?|[A-Za-z_]\w*", text))
    if not found:
        return text
    at = dice.choice(found)
    values = [each for each in VALUES if isinstance(each, (int, float, str))]
    return f"{text[: at.start()]}{dice.choice(values)}{text[at.end() :]}"
