"""Gives commands damaged files: each has to say one line and end with exit code 2, or work."""

import argparse
import contextlib
import io
import json
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import files  # noqa: E402
from campaign import APART, apart  # noqa: E402

from mpiedge.__main__ import run  # noqa: E402

LIMIT = 60  # seconds for one command; what takes longer hangs
BAD_INPUT = 2


class Hung(BaseException):
    """A command took too long."""


def main() -> int:
    """Every mutation in turn, a table at the end; 1 where one was not dealt with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="begin with this one")
    parser.add_argument("--kinds", nargs="+", default=list(files.KINDS))
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    output = asked.output.resolve() if asked.output else None
    with tempfile.TemporaryDirectory(prefix="mutated-") as name:
        place = Path(name)
        files.quiet(place)
        with contextlib.redirect_stdout(io.StringIO()):
            files.prepared(place / "good")
        rows = [one(kind, place, asked.seed, -1) for kind in asked.kinds]
        if any(row["became"] != "worked" for row in rows):
            sys.exit(f"does not work before anything is damaged: {json.dumps(rows, indent=1)}")
        rows.clear()
        for number in range(asked.first, asked.first + asked.count):
            row = one(asked.kinds[number % len(asked.kinds)], place, asked.seed, number)
            if row["became"] not in ("refused", "worked"):
                print(json.dumps(row), flush=True)
            rows.append(row)
    print(table(rows))
    if output:
        output.write_text(json.dumps(counted(rows), indent=1) + "\n", encoding="utf-8")
    return int(any(row["became"] not in ("refused", "worked") for row in rows))


def one(kind: str, place: Path, seed: int, number: int) -> dict[str, Any]:
    """What becomes of one mutation, which its numbers decide; of none where the second is -1."""
    dice, here = random.Random(f"{seed} {number}"), place / "here"
    here.mkdir()
    case = files.KINDS[kind](files.Ground(place / "good", here, whole=number < 0), dice)
    start = time.monotonic()
    became, said = outcome(case.words)
    if became == "worked" and case.out and case.like and not apart(case.like, case.out) < APART:
        became = "other weights"
    seconds = round(time.monotonic() - start, 2)
    shutil.rmtree(here)
    return {"number": number, "kind": kind, "became": became, "said": said, "seconds": seconds}


def outcome(words: tuple[str, ...]) -> tuple[str, str]:
    """Refused, worked, or what should not be; and what was said."""
    out, error = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), limited():
            code = run(words, speaks=True)
    except Hung:
        return "hung", error.getvalue()[-2000:]
    except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
        return "traceback", traceback.format_exc()[-3000:]
    said = error.getvalue()
    complaints = [line for line in said.splitlines() if line.startswith("mpiedge: ")]
    if "Traceback" in said or "its trace is in" in said:
        return "traceback", said[-3000:]
    if code == BAD_INPUT:
        return ("refused" if len(complaints) == 1 else "many lines"), said[-2000:]
    return ("worked" if code == 0 else f"exit code {code}"), said[-2000:]


@contextmanager
def limited() -> Iterator[None]:
    """End what takes too long."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Hung

    signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)


def counted(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """How often what became of each kind."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        some = found.setdefault(row["kind"], {})
        some[row["became"]] = some.get(row["became"], 0) + 1
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """How often what became of each kind, and the longest that one took."""
    lines = [
        "file | mutations | refused | worked | otherwise | seconds, at most",
        "---|" * 5 + "---",
    ]
    for kind, some in counted(rows).items():
        refused, worked, of = some.get("refused", 0), some.get("worked", 0), sum(some.values())
        most = max(row["seconds"] for row in rows if row["kind"] == kind)
        other = of - refused - worked
        lines.append(f"{kind} | {of} | {refused} | {worked} | {other} | {most}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
