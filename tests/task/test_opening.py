import pytest
from transformers import PreTrainedTokenizerBase

from mpiedge.errors import BadInput
from mpiedge.task.opening import open_task
from mpiedge.task.registry import RECIPES
from mpiedge.task.settings import TaskSettings


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_known_task_opens_without_reading_its_data(
    name: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    settings = TaskSettings(name=name, data="nowhere")
    task = open_task(settings, tokenizer, seed=0, decoder_start=2)
    assert task.purpose == RECIPES[name].purpose
    with pytest.raises(BadInput, match="there is no folder or file nowhere"):
        task.examples("train")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TaskSettings(name="tnews"), "unknown task 'tnews'"),
        (TaskSettings(name="mrpc", train_examples=-1), "task.train_examples is -1; give 0 for all"),
        (TaskSettings(name="mrpc", eval_examples=-5), "task.eval_examples is -5; give 0 for all"),
        (TaskSettings(name="mrpc", max_length=0), "task.max_length is 0, .* 5 or more"),
        (
            TaskSettings(name="seq2seq", max_target_length=1),
            "task.max_target_length is 1, .* 5 or more",
        ),
        (
            TaskSettings(name="mrpc", labels=["yes", "no"]),
            "task.labels is yes, no, but mrpc has the labels not_equivalent, equivalent; leave",
        ),
        (TaskSettings(name="classification", labels=["a", "a"]), "names one twice: a, a; drop it"),
    ],
)
def test_settings_that_cannot_be(
    settings: TaskSettings, message: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    with pytest.raises(BadInput, match=message) as error:
        open_task(settings, tokenizer, seed=0, decoder_start=2)
    assert "\n" not in str(error.value)


def test_official_labels_may_be_repeated(tokenizer: PreTrainedTokenizerBase) -> None:
    settings = TaskSettings(name="sst2", labels=["negative", "positive"])
    assert open_task(settings, tokenizer, seed=0).labels == ("negative", "positive")
