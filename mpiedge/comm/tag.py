"""What a message is called: by its receiver, in the ledger, and in an error about it.

Apart from the transport, because the wire format, the ledger and the deadlines all name messages
and must not import the transport that uses them.
"""

from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """What a message carries."""

    ACTIVATION = 1
    GRADIENT = 2
    ENTRY = 3  # what a layer takes from outside: a decoder's tokens
    LABELS = 4
    LOSS = 5
    RECORDS = 6  # per-example results of an evaluation
    WEIGHTS = 7
    VALUE = 8  # plain values as JSON
    COLLECTIVE = 9  # sums and broadcasts
    STORED = 10  # activations out of a cache
    CREDIT = 11  # leave to send one more
    ORDER = 12  # what to do in a round
    REPLY = 13  # what was done in it
    ASKED = 14  # that a rank was asked to end the run


class Tag(NamedTuple):
    """What a message is, for its receiver and for whoever reads an error about it."""

    kind: Kind
    number: int = 0  # of the micro-batch, batch or layer
    place: int = 0  # the stage the message enters

    def __str__(self) -> str:
        return _WORDS[self.kind].format(number=self.number, place=self.place)


_WORDS = {
    Kind.ACTIVATION: "activation of micro-batch {number} entering stage {place}",
    Kind.GRADIENT: "gradient of micro-batch {number} entering stage {place}",
    Kind.ENTRY: "outside input of micro-batch {number} entering stage {place}",
    Kind.LABELS: "labels of micro-batch {number}",
    Kind.LOSS: "loss of micro-batch {number}",
    Kind.RECORDS: "records of micro-batch {number}",
    Kind.WEIGHTS: "weights, number {number}",
    Kind.VALUE: "a value",
    Kind.COLLECTIVE: "a collective step",
    Kind.STORED: "stored activations, part {number}",
    Kind.CREDIT: "leave to send micro-batch {number}",
    Kind.ORDER: "order {number} of the server",
    Kind.ASKED: "a wish to end",
    Kind.REPLY: "reply {number}, piece {place}",
}
