"""PAC against LoRA and full fine-tuning, and against itself without a disk; prints ratios."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parents[1] / "trains"))

import inputs
import sides
import torch
import whole
from judged import Judged

HERE = Path(__file__).parent
RANKS, EPOCHS = 2, 3


def say(text):
    """A line at once."""
    print(text, flush=True)


def steps(setup, rounds):
    """What an example takes on each side, in seconds, and the ratios asked for."""
    spent = sides.measure(setup, rounds, say)
    medians = {
        name: {of: median(getattr(each, of) for each in found) for of in sides.Spent._fields}
        for name, found in spent.items()
    }

    def ratio(one, other, of="wall"):
        return medians[one][of] / medians[other][of]

    ratios = {
        "cached epoch over LoRA epoch": (ratio("lora", "from disk"), ">=", 10.0),
        "cached over LoRA, processor time": (ratio("lora", "from disk", "process"), "", 10.0),
        "from disk over from memory": (ratio("from memory", "from disk"), ">=", 0.85),
        "from disk over from memory, processor time of both threads": (
            ratio("from memory", "from disk", "process"),
            "",
            0.85,
        ),
        "from disk over from memory, processor time of training": (
            ratio("from memory", "from disk", "thread"),
            "",
            0.85,
        ),
        "from a cold disk over from memory": (ratio("from memory", "from cold disk"), "", 0.85),
        "recording over computing": (ratio("recorded", "computed"), "<=", 1.1),
        "recording over computing, processor time of both threads": (
            ratio("recorded", "computed", "process"),
            "",
            1.1,
        ),
    }
    return medians, ratios


def runs(setup, repeats):
    """Whole runs: pac on several ranks, LoRA on one; extrapolated to all of MRPC."""
    found = {"lora": [], "pac": []}
    for number in range(repeats):
        found["lora"].append(_whole(setup, f"lora-{number}", 1, setup.settings("lora", epochs=1)))
        settings = setup.settings("parallel", "pac", epochs=EPOCHS)
        found["pac"].append(_whole(setup, f"pac-{number}", RANKS, settings))
        say(f"run {number + 1}, seconds an example: { ({n: e[-1] for n, e in found.items()}) }")
    medians = {
        name: {of: median(each[of] for each in some) for of in ("wall", "process")}
        for name, some in found.items()
    }
    hours = {name: some["wall"] * inputs.MRPC_EXAMPLES / 3600 for name, some in medians.items()}
    say(f"extrapolated to {inputs.MRPC_EXAMPLES} examples, hours: {hours}")
    ratios = {of: medians["lora"][of] / medians["pac"][of] for of in ("wall", "process")}
    name = f"{EPOCHS} epochs on {RANKS} ranks over LoRA on one"
    return {**found, "hours": hours}, {
        name: (ratios["wall"], ">=", 0.85 * RANKS * 4),
        f"{name}, processor time of a rank": (ratios["process"], "", 0.85 * RANKS * 4),
    }


def _whole(setup, name, ranks, settings):
    """Seconds that all epochs take for an example: on the clock, and of one rank's processor."""
    processor = whole.Processor(settings.training.epochs, -(-setup.examples // inputs.BATCH))
    epochs, between = whole.seconds(whole.train(setup, name, settings, ranks, processor))
    size = setup.examples * settings.training.epochs / EPOCHS
    return {"wall": (sum(epochs) + between) / size, "process": processor.most / size}


def memory(setup):
    """The memory of one rank: full fine-tuning's peak, and phase 2."""
    full = whole.train(setup, "full", setup.settings("full", epochs=1))
    peak = full["ranks"][0]["peak_resident_bytes"]
    phase = whole.Phase2(-(-setup.examples // inputs.BATCH))
    whole.train(setup, "memory", setup.settings("parallel", "pac", epochs=8), watch=phase)
    found = {"full": peak, "phase 2 begun": phase.after, "phase 2 at most": phase.most}
    say(f"MiB: { {name: each >> 20 for name, each in found.items()} }")
    return found, {
        "resident memory in phase 2 over full fine-tuning's peak": (phase.after / peak, "<=", 0.15),
        "the same at its peak": (phase.most / peak, "<=", 0.15),
    }


def main():
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("bert-base", "t5-base"), default="bert-base")
    parser.add_argument("--examples", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="of the whole runs")
    parser.add_argument("--quick", action="store_true", help="a tiny model: is all in order?")
    parser.add_argument("--only", choices=("steps", "runs", "memory"))
    options = parser.parse_args()
    parts = {
        "steps": lambda setup: steps(setup, options.rounds),
        "runs": lambda setup: runs(setup, options.repeats),
        "memory": memory,
    }
    measured, ratios = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        setup = inputs.set_up(Path(folder), options.model, options.examples, options.quick)
        texts = "MRPC" if setup.real else "invented texts of MRPC's lengths"
        say(f"{options.model}, {setup.examples} examples of {texts}, {setup.lengths:.1f} tokens")
        for name, part in parts.items():
            if options.only in (None, name):
                measured[name], found = part(setup)
                ratios.update(found)
    for name, (value, relation, limit) in ratios.items():
        say(str(Judged(name, value, relation, limit)))
    keep(options, setup, measured, ratios)


def keep(options, setup, measured, ratios):
    """Write what was found beside this file, in place of what was found of the same model."""
    file = HERE / "results.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if options.quick:
        return
    old = before.get(options.model, {})
    hidden = ("quick", "only", "model")
    asked = {name: value for name, value in vars(options).items() if name not in hidden}
    machine = {"load": os.getloadavg()[0], "cores": os.cpu_count(), "torch": torch.__version__}
    how = {**asked, "tokens": setup.lengths, "mrpc": setup.real, **machine}
    found = {name: round(value, 4) for name, (value, _, _) in ratios.items()}
    before[options.model] = {
        "options": {**old.get("options", {}), **dict.fromkeys(measured, how)},
        "ratios": {**old.get("ratios", {}), **found},
        "measured": {**old.get("measured", {}), **measured},
    }
    file.write_text(json.dumps(before, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
