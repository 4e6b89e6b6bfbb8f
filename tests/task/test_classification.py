import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from mpiedge.errors import BadInput
from mpiedge.task.opening import open_task
from mpiedge.task.settings import TaskSettings
from mpiedge.task.task import Encoded, Generative, Task

Write = Callable[[str, str], Path]


@pytest.fixture
def home(write: Write, tokenizer: PreTrainedTokenizerBase) -> Task:
    write("train.tsv", "text\tlabel\na b\ton\nc\toff\nd e f\ton\n")
    folder = write("validation.csv", "label,text\noff,a\n")
    return open_task(TaskSettings(name="classification", data=str(folder)), tokenizer, seed=0)


def test_labels_are_those_of_the_train_file_by_the_alphabet(home: Task) -> None:
    assert (home.purpose, home.labels, home.notes) == ("classification", ("off", "on"), ())


def test_examples_of_both_splits(home: Task) -> None:
    train, validation = home.examples("train"), home.examples("validation")
    assert [e.label for e in train] == [1, 0, 1]
    assert train[0].tokens == (2, 4, 5, 3)
    assert [(e.tokens, e.label) for e in validation] == [((2, 4, 3), 0)]
    assert home.examples("train") is train


def test_collated_rows(home: Task) -> None:
    inputs = home.collate(home.examples("train")[:2])
    assert inputs.tokens.tolist() == [[2, 4, 5, 3], [2, 6, 3, 0]]
    assert inputs.labels.tolist() == [1, 0]
    assert inputs.labels.dtype == torch.int64
    assert inputs.decoder_tokens.numel() == 0


def test_a_decoder_is_given_the_same_tokens_one_place_late(
    write: Write, tokenizer: PreTrainedTokenizerBase
) -> None:
    folder = write("train.tsv", "text\tlabel\na b\ton\nc\toff\n")
    settings = TaskSettings(name="classification", data=str(folder / "train.tsv"))
    task = open_task(settings, tokenizer, seed=0, decoder_start=9)
    inputs = task.collate(task.encode([("a b",), ("c",)]))
    assert inputs.tokens.tolist() == [[2, 4, 5, 3], [2, 6, 3, 0]]
    assert inputs.decoder_tokens.tolist() == [[9, 2, 4, 5], [9, 2, 6, 3]]


def test_the_loss_is_summed_over_rows_in_float32(home: Task) -> None:
    logits = torch.zeros(3, 2, dtype=torch.bfloat16, requires_grad=True)
    loss = home.loss(logits, torch.tensor([0, 1, 1]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(3 * math.log(2))
    loss.backward()
    assert logits.grad is not None
    assert home.units(Encoded((1,))) == 1


def test_parts_of_a_batch_sum_to_the_whole(home: Task) -> None:
    logits, labels = torch.randn(5, 2), torch.tensor([0, 1, 1, 0, 1])
    parts = home.loss(logits[:2], labels[:2]) + home.loss(logits[2:], labels[2:])
    assert parts.item() == pytest.approx(home.loss(logits, labels).item())
    empty = home.loss(logits[:0], labels[:0])
    assert empty.item() == 0.0


def test_score_of_what_was_observed_in_parts(home: Task) -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    labels = torch.tensor([0, 1, 0])
    observed = torch.cat(
        [home.observe(logits[:1], labels[:1]), home.observe(logits[1:], labels[1:])]
    )
    assert observed.dtype == torch.float64
    found = home.score(observed)
    assert list(found) == ["accuracy", "macro_f1", "loss"]
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["loss"] == pytest.approx(home.loss(logits, labels).item() / 3)


def test_described_in_words(home: Task) -> None:
    assert home.describe(torch.tensor([0.0, math.log(3)])) == {
        "label": "on",
        "score": pytest.approx(0.75),
    }


def test_given_labels_need_no_data(tokenizer: PreTrainedTokenizerBase) -> None:
    settings = TaskSettings(name="classification", data="gone", labels=["on", "off"])
    task = open_task(settings, tokenizer, seed=0)
    assert task.labels == ("on", "off")
    assert task.encode([("a",)]) == [Encoded((2, 4, 3))]
    assert not isinstance(task, Generative)


def test_text_pairs(write: Write, tokenizer: PreTrainedTokenizerBase) -> None:
    write("train.tsv", "sentence1\tsentence2\tlabel\na\tb\t1\n")
    folder = write("validation.tsv", "sentence1\tsentence2\tlabel\na\tb\tequivalent\n")
    task = open_task(TaskSettings(name="mrpc", data=str(folder)), tokenizer, seed=0)
    assert task.labels == ("not_equivalent", "equivalent")
    assert task.examples("train") == task.examples("validation")
    assert task.examples("train") == [Encoded((2, 4, 3, 5, 3), (0, 0, 0, 1, 1), label=1)]


def test_a_label_that_train_does_not_have(write: Write, tokenizer: PreTrainedTokenizerBase) -> None:
    write("train.tsv", "text\tlabel\na\ton\nb\toff\n")
    folder = write("validation.tsv", "text\tlabel\na\ton\nb\tdim\n")
    task = open_task(TaskSettings(name="classification", data=str(folder)), tokenizer, seed=0)
    with pytest.raises(
        BadInput, match=r"line 3: unknown label 'dim', the labels are off, on; mend"
    ):
        task.examples("validation")


def test_a_missing_label_column(write: Write, tokenizer: PreTrainedTokenizerBase) -> None:
    write("train.tsv", "text\tkind\na\ton\n")
    settings = TaskSettings(
        name="classification", data=str(write("dev.tsv", "text\tkind\n")), label="label"
    )
    task = open_task(settings, tokenizer, seed=0)
    with pytest.raises(BadInput, match="has no column 'label', its columns are text, kind"):
        _ = task.labels
