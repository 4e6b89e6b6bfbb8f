from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from mpiedge.errors import BadInput
from mpiedge.task.opening import open_task
from mpiedge.task.settings import TaskSettings
from mpiedge.task.task import Task

Write = Callable[[str, str], Path]
HEADER = "sentence1\tsentence2\tlabel\n"


@pytest.fixture
def similarity(write: Write, tokenizer: PreTrainedTokenizerBase) -> Task:
    write("train.tsv", HEADER + "a\tb\t2.500\nc\td\t5.000\n")
    folder = write("validation.tsv", HEADER + "a\tb\tmuch\n")
    return open_task(TaskSettings(name="stsb", data=str(folder)), tokenizer, seed=0)


def test_labels_are_numbers(similarity: Task) -> None:
    assert (similarity.purpose, similarity.labels) == ("regression", ())
    inputs = similarity.collate(similarity.examples("train"))
    assert inputs.labels.tolist() == [2.5, 5.0]
    assert inputs.labels.dtype == torch.float32
    assert inputs.types.tolist() == [[0, 0, 0, 1, 1]] * 2


def test_the_loss_is_the_summed_squared_error(similarity: Task) -> None:
    logits = torch.tensor([[2.0], [4.0]], dtype=torch.bfloat16)
    loss = similarity.loss(logits, torch.tensor([2.5, 5.0]))
    assert (loss.item(), loss.dtype) == (1.25, torch.float32)


def test_score(similarity: Task) -> None:
    logits = torch.tensor([[1.0], [2.0], [3.0]])
    found = similarity.score(similarity.observe(logits, torch.tensor([0.0, 2.0, 4.0])))
    assert found == {
        "pearson": pytest.approx(1.0),
        "spearman": pytest.approx(1.0),
        "loss": pytest.approx(2 / 3),
    }


def test_described(similarity: Task) -> None:
    assert similarity.describe(torch.tensor([1.5])) == {"score": 1.5}


def test_a_label_that_is_no_number(similarity: Task) -> None:
    with pytest.raises(BadInput, match=r"validation\.tsv, line 2: label 'much' is no number"):
        similarity.examples("validation")
