"""The data as the runs need them, in a folder of the benchmark's: cut, renamed or with symbols."""

import gzip
import json
import shutil
from pathlib import Path

SST2_EXAMPLES = 10_000
# Output ids that the model has and its alphabet does not, and British sounds it lacks.
BRITISH = "a\u0252Q\u02d0"


def folder_of(name, data, work):
    """The folder with ``train`` and ``validation`` of a task."""
    if name != "sst2":
        return data / name
    made = work / "data" / "sst2"
    if not made.exists():
        made.mkdir(parents=True)
        lines = _text(next((data / "sst2").glob("train.tsv*"))).split("\n")
        (made / "train.tsv").write_text("\n".join(lines[: SST2_EXAMPLES + 1]) + "\n", "utf-8")
        _copy(data / "sst2", "validation", made, "validation")
    return made


def tested_of(name, data, work):
    """The same task with its test file in validation's place."""
    made = work / "data" / f"{name}-test"
    if not made.exists():
        made.mkdir(parents=True)
        _copy(data / name, "train", made, "train")
        _copy(data / name, "test", made, "validation")
    return made


def model_of(name, data, work):
    """What ``model.name`` says: a folder of the data's, or the name as it is."""
    if ":" in name:
        return name
    if name != "bart_g2p_us":
        return str(data / "models" / name)
    made = work / "data" / name
    if not made.exists():
        shutil.copytree(data / "models" / name, made)
        file = made / "config.json"
        config = json.loads(file.read_text("utf-8"))
        config["phoneme_chars"] += BRITISH
        file.write_text(json.dumps(config), "utf-8")
    return str(made)


def _copy(source: Path, name: str, target: Path, new: str):
    file = next(source.glob(f"{name}.*"))
    shutil.copy(file, target / file.name.replace(name, new, 1))


def _text(file):
    read = gzip.open if file.suffix == ".gz" else open
    with read(file, "rt", encoding="utf-8", newline="") as lines:
        return lines.read()
