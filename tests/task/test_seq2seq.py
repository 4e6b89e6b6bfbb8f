from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from mpiedge.errors import BadInput
from mpiedge.task.opening import open_task
from mpiedge.task.settings import TaskSettings
from mpiedge.task.task import IGNORED, Generative, Task

Write = Callable[[str, str], Path]
ROWS = "word\tus\tgb\na b\tc\td e\nf\tg\th\n"


@pytest.fixture
def sounds(
    write: Write, tokenizer: PreTrainedTokenizerBase, bare_tokenizer: PreTrainedTokenizerBase
) -> Task:
    write("train.tsv", ROWS)
    folder = write("validation.tsv", ROWS)
    settings = TaskSettings(
        name="seq2seq", data=str(folder), text=["word"], label="gb", max_target_length=4
    )
    return open_task(settings, tokenizer, seed=0, decoder_start=2, target_tokenizer=bare_tokenizer)


def test_the_output_ends_with_the_end_token(sounds: Task) -> None:
    first, second = sounds.examples("train")
    assert (first.tokens, first.target) == ((2, 4, 5, 3), (7, 8, 3))
    assert (second.tokens, second.target) == ((2, 9, 3), (11, 3))
    assert (sounds.units(first), sounds.units(second)) == (3, 2)
    assert (sounds.purpose, sounds.labels, sounds.notes) == ("seq2seq", (), ())


def test_the_decoder_is_given_the_output_one_place_late(sounds: Task) -> None:
    inputs = sounds.collate(sounds.examples("train"))
    assert inputs.tokens.tolist() == [[2, 4, 5, 3], [2, 9, 3, 0]]
    assert inputs.labels.tolist() == [[7, 8, 3], [11, 3, IGNORED]]
    assert inputs.decoder_tokens.tolist() == [[2, 7, 8], [2, 11, 3]]


def test_the_output_may_have_the_inputs_tokenizer(
    write: Write, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Its [CLS] is the decoder's start here, so it is not said again; its [SEP] ends the output."""
    tokenizer.eos_token = "[SEP]"
    path = write("x.tsv", "source\ttarget\na\tb\na\tb\n") / "x.tsv"
    settings = TaskSettings(name="seq2seq", data=str(path))
    same = open_task(settings, tokenizer, seed=0, decoder_start=2).examples("train")[0]
    assert same.target == (5, 3)
    other = open_task(settings, tokenizer, seed=0, decoder_start=3).examples("train")[0]
    assert other.target == (2, 5, 3)


def test_a_long_output_is_cut_and_still_ends(
    write: Write, tokenizer: PreTrainedTokenizerBase, bare_tokenizer: PreTrainedTokenizerBase
) -> None:
    path = write("x.tsv", "source\ttarget\na\tb c d e f\na\t\n") / "x.tsv"
    settings = TaskSettings(name="seq2seq", data=str(path), max_target_length=3)
    task = open_task(settings, tokenizer, seed=0, decoder_start=2, target_tokenizer=bare_tokenizer)
    targets = {e.target for split in ("train", "validation") for e in task.examples(split)}
    assert targets == {(5, 6, 3), (3,)}


def test_inputs_alone_can_be_collated(sounds: Task) -> None:
    inputs = sounds.collate(sounds.encode([("a",), ("b c",)]))
    assert inputs.decoder_tokens.tolist() == [[2], [2]]
    assert sounds.loss(torch.zeros(2, 1, 12), inputs.labels).item() == 0.0


def test_score_names_exact_match_first(sounds: Task) -> None:
    inputs = sounds.collate(sounds.examples("validation"))
    right = torch.nn.functional.one_hot(inputs.labels.clamp(min=0), 12).float() * 9
    found = sounds.score(sounds.observe(right, inputs.labels))
    assert list(found) == ["exact_match", "perplexity", "loss", "token_accuracy"]
    assert found["exact_match"] == found["token_accuracy"] == 1.0


def test_a_model_without_a_decoder_apart_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(BadInput, match="the model has no decoder apart from its encoder; use a T5"):
        open_task(TaskSettings(name="seq2seq", data="x"), tokenizer, seed=0)


def test_a_row_of_logits_is_no_text(sounds: Task) -> None:
    with pytest.raises(BadInput, match="answers with text that it generates, not with a label"):
        sounds.describe(torch.zeros(3))


def test_an_output_grows_by_what_was_said(sounds: Task) -> None:
    assert isinstance(sounds, Generative)
    (begun,) = sounds.encode([("a",)])
    for said in ((), (7,), (7, 8)):
        continued = sounds.continued(begun, said)
        assert continued.tokens == begun.tokens
        assert sounds.collate([continued]).decoder_tokens.tolist() == [[2, *said]]
    assert sounds.end == 3
    assert sounds.decoded((7, 8, 3)) == "d e"
