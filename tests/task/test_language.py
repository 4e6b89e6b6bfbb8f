from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from mpiedge.errors import BadInput
from mpiedge.task.opening import open_task
from mpiedge.task.settings import TaskSettings
from mpiedge.task.task import IGNORED, Encoded, Generative, Task

Write = Callable[[str, str], Path]


@pytest.fixture
def opened(write: Write, bare_tokenizer: PreTrainedTokenizerBase) -> Callable[..., Task]:
    def opener(name: str, content: str, **settings: object) -> Task:
        path = write(name, content) / name
        given = TaskSettings(name="language", data=str(path), **settings)  # type: ignore[arg-type]
        return open_task(given, bare_tokenizer, seed=0)

    return opener


def test_text_is_learnt_token_by_token(opened: Callable[..., Task]) -> None:
    task = opened("x.txt", "a b c\na b c\n")
    (example,) = task.examples("train")
    assert example.tokens == (4, 5, 6)
    assert example.target == (5, 6, IGNORED)
    assert task.units(example) == 2
    assert (task.purpose, task.labels) == ("language", ())
    assert len(task.notes) == 1


def test_labels_line_up_with_logits_under_left_padding(opened: Callable[..., Task]) -> None:
    task = opened("x.jsonl", '{"text": "a"}\n{"text": "b"}\n')
    examples = [
        task.examples("train")[0]._replace(tokens=(4, 5, 6), target=(5, 6, IGNORED)),
        task.examples("train")[0]._replace(tokens=(7, 8), target=(8, IGNORED)),
    ]
    inputs = task.collate(examples)
    assert inputs.tokens.tolist() == [[4, 5, 6], [3, 7, 8]]
    assert inputs.labels.tolist() == [[5, 6, IGNORED], [IGNORED, 8, IGNORED]]
    assert task.loss(torch.zeros(2, 3, 12), inputs.labels).item() == pytest.approx(
        3 * torch.tensor(12.0).log().item()
    )


def test_only_the_completion_and_its_end_are_learnt(opened: Callable[..., Task]) -> None:
    row = '{"prompt": "a b", "completion": "c d"}\n'
    (example,) = opened("x.jsonl", row * 2).examples("train")
    assert example.tokens == (4, 5, 6, 7, 3)
    assert example.target == (IGNORED, 6, 7, 3, IGNORED)


def test_a_completion_without_a_prompt_is_learnt_whole(opened: Callable[..., Task]) -> None:
    task = opened("x.jsonl", '{"prompt": "", "completion": "c"}\n' * 2)
    (example,) = task.examples("train")
    assert example.tokens == (3, 6, 3)
    assert example.target == (6, 3, IGNORED)


def test_a_long_prompt_gives_way_from_its_start(opened: Callable[..., Task]) -> None:
    row = '{"prompt": "a b c d e f", "completion": "g h"}\n'
    (example,) = opened("x.jsonl", row * 2, max_length=6).examples("train")
    assert example.tokens == (7, 8, 9, 10, 11, 3)
    assert example.target == (IGNORED, IGNORED, 10, 11, 3, IGNORED)


def test_a_long_completion_leaves_half_to_the_prompt(opened: Callable[..., Task]) -> None:
    row = '{"prompt": "a b c d", "completion": "e f g h"}\n'
    (example,) = opened("x.jsonl", row * 2, max_length=4).examples("train")
    assert example.tokens == (6, 7, 8, 9)
    assert example.target == (IGNORED, 8, 9, IGNORED)


def test_prompt_and_completion_are_parted_by_one_blank() -> None:
    from mpiedge.task.language import _parted

    assert _parted("how many?", "two") == "how many?\n"
    assert _parted("how many? ", "two") == "how many? "
    assert _parted("how many?", " two") == "how many?"
    assert _parted("", "two") == ""


def test_a_prompt_does_not_end_with_the_end_token(
    write: Write, tokenizer: PreTrainedTokenizerBase
) -> None:
    tokenizer.eos_token = "[SEP]"
    row = '{"question": "a b", "answer": "c"}\n'
    path = write("x.jsonl", row * 2) / "x.jsonl"
    task = open_task(TaskSettings(name="language", data=str(path)), tokenizer, seed=0)
    assert task.examples("train")[0].tokens == (2, 4, 5, 6, 3)
    assert task.encode([("a b",)])[0].tokens == (2, 4, 5)


def test_texts_to_go_on_from_have_no_labels(opened: Callable[..., Task]) -> None:
    task = opened("x.txt", "a\nb\n")
    inputs = task.collate(task.encode([("a b",), ("c",)]))
    assert inputs.tokens.tolist() == [[4, 5], [3, 6]]
    assert inputs.labels.tolist() == [[IGNORED, IGNORED]] * 2


def test_a_row_of_logits_is_no_text(opened: Callable[..., Task]) -> None:
    with pytest.raises(BadInput, match="answers with text that it generates, not with a label"):
        opened("x.txt", "a\nb\n").describe(torch.zeros(3))


def test_score_names_perplexity_first(opened: Callable[..., Task]) -> None:
    task = opened("x.txt", "a b\na b\n")
    observed = task.observe(torch.zeros(1, 2, 12), torch.tensor([[5, IGNORED]]))
    assert list(task.score(observed)) == ["perplexity", "loss", "token_accuracy", "exact_match"]
    assert task.score(observed)["perplexity"] == pytest.approx(12.0)


def test_a_text_grows_by_what_was_said(opened: Callable[..., Task]) -> None:
    task = opened("x.txt", "a\nb\n", max_length=4)
    assert isinstance(task, Generative)
    (begun,) = task.encode([("a b",)])
    assert task.continued(begun, (6,)) == Encoded((4, 5, 6))
    assert task.continued(begun, (6, 7, 8)) == Encoded((5, 6, 7, 8))
    assert task.end == 3
    assert task.decoded((4, 5, 3)) == "a b"
