"""From a run file's section ``[task]`` to the task it means: the only place that builds one."""

from dataclasses import replace

from transformers import PreTrainedTokenizerBase

from mpiedge.errors import BadInput
from mpiedge.task.classification import Classification
from mpiedge.task.collate import Padding
from mpiedge.task.columns import labelled_columns
from mpiedge.task.corpus import Corpus
from mpiedge.task.labels import LabelSet
from mpiedge.task.language import Language
from mpiedge.task.registry import Recipe, recipe
from mpiedge.task.regression import Regression
from mpiedge.task.seq2seq import Seq2Seq
from mpiedge.task.settings import TaskSettings
from mpiedge.task.task import Task
from mpiedge.task.text_input import TextInput
from mpiedge.task.tokens import TextEncoder


def open_task(
    settings: TaskSettings,
    tokenizer: PreTrainedTokenizerBase,
    *,
    seed: int,
    decoder_start: int | None = None,
    target_tokenizer: PreTrainedTokenizerBase | None = None,
    own: str = "",
) -> Task:
    """The task of a run; ``decoder_start`` is given just when the model has a decoder apart.

    ``own`` is the training file of a client that has one.
    """
    known = recipe(settings.name)
    _check(settings, known)
    corpus = Corpus(_columns_filled(settings, known), seed, known.hub_validation, own)
    encoder = TextEncoder(tokenizer, settings.max_length)
    padding = Padding(encoder.pad, left=tokenizer.padding_side == "left")
    if known.purpose == "seq2seq":
        output = TextEncoder(
            target_tokenizer or tokenizer, settings.max_target_length, "task.max_target_length"
        )
        return Seq2Seq(corpus, encoder, padding, output, _needed(decoder_start))
    if known.purpose == "language":
        return Language(corpus, encoder, padding)
    text_input = TextInput(encoder, padding, decoder_start)
    if known.purpose == "regression":
        return Regression(corpus, text_input, known.metric)
    return Classification(corpus, text_input, known.metric, _labels(settings, known))


def label_names(settings: TaskSettings, own: str) -> tuple[str, ...]:
    """The labels that occur in a client's file; none where the task has no labels of its own.

    An official task's labels are known without looking.
    """
    known = recipe(settings.name)
    if known.purpose != "classification" or known.labels or settings.labels:
        return ()
    filled = _columns_filled(settings, known)
    table = Corpus(filled, 0, own=own).labelled
    return tuple(sorted(set(table.column(labelled_columns(table, filled).label, "task.label"))))


def _columns_filled(settings: TaskSettings, known: Recipe) -> TaskSettings:
    return replace(
        settings,
        text=settings.text or list(known.text),
        label=settings.label or ("label" if known.text else ""),
    )


def _labels(settings: TaskSettings, known: Recipe) -> LabelSet:
    names = known.labels or tuple(settings.labels)
    return LabelSet(names, by_id=bool(names))


def _check(settings: TaskSettings, known: Recipe) -> None:
    for name, count in (
        ("train_examples", settings.train_examples),
        ("eval_examples", settings.eval_examples),
    ):
        if count < 0:
            raise BadInput(f"task.{name} is {count}; give 0 for all examples, or how many")
    if settings.labels and known.labels and tuple(settings.labels) != known.labels:
        raise BadInput(
            f"task.labels is {', '.join(settings.labels)}, but {settings.name} has the labels "
            f"{', '.join(known.labels)}; leave it out, or use task.name = 'classification'"
        )
    if len(set(settings.labels)) != len(settings.labels):
        raise BadInput(f"task.labels names one twice: {', '.join(settings.labels)}; drop it")


def _needed(decoder_start: int | None) -> int:
    if decoder_start is None:
        raise BadInput(
            "task.name is seq2seq, but the model has no decoder apart from its encoder; use a T5 "
            "or BART model, or task.name = 'language'"
        )
    return decoder_start
