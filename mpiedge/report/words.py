"""Numbers and names in the words of the page."""

from collections.abc import Sequence
from typing import NamedTuple

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Meaning(NamedTuple):
    """What messages of a kind hold, and what somebody who reads them learns."""

    what: str
    tells: str


_NOTHING = "nothing of an example"
_MEANINGS = {
    "activation": Meaning("hidden states that layers made of examples", "a good deal of the text"),
    "gradient": Meaning("gradients of hidden states", "something of the text and its label"),
    "entry": Meaning("tokens that a decoder takes", "that text itself"),
    "labels": Meaning("labels of examples, and which tokens count", "the labels"),
    "loss": Meaning("losses, a number each", _NOTHING),
    "records": Meaning("what an evaluation made of each example", "predictions and their labels"),
    "weights": Meaning("tuned weights", "what the tuned model has learnt"),
    "value": Meaning(
        "plans, counts, settings, the next thing to do", "settings and names of labels"
    ),
    "collective": Meaning("sums of gradients or of weights", "the sum over a batch"),
    "stored": Meaning("hidden states out of a cache", "a good deal of the text"),
    "credit": Meaning("leave to send one more", _NOTHING),
    "order": Meaning("tuned weights and what to do in a round", "what the model has learnt"),
    "reply": Meaning("gradients or weights of one device's round", "something of its examples"),
    "asked": Meaning("that a rank was asked to end the run", _NOTHING),
}


def meaning(kind: str) -> Meaning:
    """What a kind of message holds, in plain words; the kinds are those of ``comm.tag``."""
    return _MEANINGS.get(kind, Meaning(kind, "not known to this version"))


def size(count: float) -> str:
    """Bytes as people read them: ``1.5 MiB``."""
    for unit in _UNITS[:-1]:
        if count < 1024:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.3g} {_UNITS[-1]}"


def duration(seconds: float) -> str:
    """Seconds as people read them: ``12.3 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def spans(numbers: Sequence[int]) -> str:
    """Whole numbers in rising order, neighbours together: ``0..3, 7``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1] = [found[-1][0], number]
        else:
            found.append([number])
    return ", ".join("..".join(map(str, each)) for each in found) or "none"


def printed(text: str) -> str:
    """The text in ASCII, for figures: a font may lack the rest."""
    return text.encode("ascii", "replace").decode()
