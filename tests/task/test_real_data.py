"""The real data sets, with MiniLM's tokenizer: rows, label counts and padding as documented."""

from collections import Counter
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from mpiedge.task.opening import open_task
from mpiedge.task.sampler import epoch_batches
from mpiedge.task.settings import TaskSettings
from mpiedge.task.task import Task

pytestmark = pytest.mark.real

# rows of train and validation, and how many of the validation rows have label 0, 1, 2
GLUE = {
    "mrpc": (3668, 408, (129, 279)),
    "sst2": (67349, 872, (428, 444)),
    "rte": (2490, 277, (146, 131)),
    "cola": (8551, 1043, (322, 721)),
    "qnli": (9999, 5463, (2702, 2761)),
    "mnli": (9999, 9815, (3479, 3123, 3213)),
}


def real_task(name: str, folder: Path, tokenizer: PreTrainedTokenizerBase) -> Task:
    return open_task(TaskSettings(name=name, data=str(folder / name)), tokenizer, seed=0)


@pytest.mark.parametrize("name", GLUE)
def test_every_row_is_read(
    name: str, real_data: Path, minilm_tokenizer: PreTrainedTokenizerBase
) -> None:
    train, validation, counts = GLUE[name]
    task = real_task(name, real_data, minilm_tokenizer)
    examples = task.examples("validation")
    assert len(examples) == validation
    assert Counter(e.label for e in examples) == Counter(dict(enumerate(counts)))
    assert max(len(e.tokens) for e in examples) <= 128
    if train < 9000:
        assert len(task.examples("train")) == train


def test_similarities(real_data: Path, minilm_tokenizer: PreTrainedTokenizerBase) -> None:
    examples = real_task("stsb", real_data, minilm_tokenizer).examples("validation")
    assert len(examples) == 1500
    assert (min(e.label for e in examples), max(e.label for e in examples)) == (0.0, 5.0)
    assert all(any(e.types) for e in examples)


def test_little_of_an_epoch_is_padding(
    real_data: Path, minilm_tokenizer: PreTrainedTokenizerBase
) -> None:
    examples = real_task("mrpc", real_data, minilm_tokenizer).examples("train")
    lengths = [example.length for example in examples]
    batches = epoch_batches(lengths, 32, seed=0, epoch=0)
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert 1 - sum(lengths) / padded < 0.05


def test_questions_and_answers(real_data: Path, minilm_tokenizer: PreTrainedTokenizerBase) -> None:
    settings = TaskSettings(name="language", data=str(real_data / "gsm8k"), max_length=512)
    task = open_task(settings, minilm_tokenizer, seed=0)
    examples = task.examples("validation")
    assert len(examples) == 1319
    assert all(0 < task.units(e) < len(e.tokens) <= 512 for e in examples)


def test_words_and_sounds(real_data: Path, minilm_tokenizer: PreTrainedTokenizerBase) -> None:
    settings = TaskSettings(
        name="seq2seq", data=str(real_data / "g2p"), text=["word"], label="gb", eval_examples=1000
    )
    task = open_task(settings, minilm_tokenizer, seed=0, decoder_start=101)
    assert len(task.examples("validation")) == 1000
    assert len(task.examples("train")) == 10000
