"""Predicts Table 2 of PAC's paper: hours of fine-tuning on eight Jetson Nanos, or out of memory.

Two numbers are fitted, to the published rows of T5-Base alone: the speed of a Nano and the time
that it takes to launch an operation.
"""

import argparse
import json

from published.conditions import MODELS, SYSTEMS, TASKS
from published.fitting import fitted, hours, residuals
from published.report import leaving_out, told
from published.systems import Case, laid_out


def main() -> None:
    """Print the table, or one object of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object, and nothing else")
    parser.add_argument("--residuals", action="store_true", help="how well each row is met")
    given = parser.parse_args()
    pace = fitted()
    if given.residuals:
        missed = residuals(pace)
        print(told(pace, missed), leaving_out(pace, missed), sep="\n")
        return
    table = predicted(pace)
    print(json.dumps(table, indent=1) if given.json else drawn(table))


def predicted(pace):
    """Model, technique, system, task: hours, or None for out of memory."""
    return {
        model: {
            technique: {
                system: hours(case, laid_out(case, pace), pace)
                for system in systems
                for case in (Case(model, technique, system),)
            }
            for technique, systems in SYSTEMS.items()
        }
        for model in MODELS
    }


def drawn(table):
    """The same as lines of text."""
    lines = ["".join(f"{word:<12}" for word in ("model", "technique", "system", *TASKS))]
    for model, techniques in table.items():
        for technique, systems in techniques.items():
            for system, row in systems.items():
                cells = ("OOM" if value is None else f"{value:.2f}" for value in row.values())
                words = (model, technique, system, *cells)
                lines.append("".join(f"{word:<12}" for word in words).rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
