"""How good tuned models are: the side network against LoRA and bottleneck adapters on real data."""

import argparse
import json
import os
import tempfile
from pathlib import Path

from jobs import DECODERS, JOBS, PAIRS, SEEDS, TECHNIQUES
from measured import measure
from tables import tables

RESULTS = Path(__file__).parent / "results.json"


def wanted():
    """All runs, the most telling first: task, technique, seed."""
    usual = ("lora", "parallel", "bottleneck")
    for jobs in (PAIRS, DECODERS):
        for task in jobs:
            for technique in usual[: 3 if jobs is PAIRS else 2]:
                yield from ((task, technique, seed) for seed in SEEDS)
    for technique, how in TECHNIQUES.items():
        for task in how.jobs or ():
            yield from ((task, technique, seed) for seed in how.seeds)


def among(run, only):
    """Whether a run is one of those asked for, as in ``mrpc,lora,0`` or ``mrpc`` or ``,lora``."""
    words = [each.split(",") for each in only]
    return not only or any(
        all(word in ("", str(part)) for word, part in zip(each, run, strict=False))
        for each in words
    )


def kept():
    """The results so far."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []


def keep(found):
    """Write them: whole or not at all, a line a run."""
    lines = ",\n".join(json.dumps(each) for each in found)
    beside = RESULTS.with_suffix(".partial")
    beside.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    beside.replace(RESULTS)


def once(run, data, work):
    """A run that is not in the results yet."""
    if any((each["task"], each["technique"], each["seed"]) == run for each in kept()):
        return
    found = measure(run, data, work)
    keep([*kept(), found])
    print(json.dumps(found), flush=True)


def main():
    """Run what is not in ``results.json`` yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("MPIEDGE_DATA"))
    parser.add_argument("--work", type=Path, help="a folder for activations; left out: a new one")
    parser.add_argument("--only", nargs="*", default=[], metavar="TASK,TECHNIQUE,SEED")
    parser.add_argument("--table", action="store_true", help="run nothing")
    options = parser.parse_args()
    if not options.table:
        if options.data is None:
            parser.error("--data is missing: the folder with a folder a task, or MPIEDGE_DATA")
        with tempfile.TemporaryDirectory() as folder:
            work = options.work or Path(folder)
            work.mkdir(parents=True, exist_ok=True)
            for run in wanted():
                if among(run, options.only):
                    once(run, Path(options.data).resolve(), work.resolve())
    print("\n".join(tables(kept(), JOBS, TECHNIQUES)))


if __name__ == "__main__":
    main()
