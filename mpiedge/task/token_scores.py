"""Loss and score where every position of a row has a label.

Shared by language modelling and sequence-to-sequence.  With greedy decoding a row comes out
exactly right just when the argmax is right at every place of the right text, because up to the
first mistake both see the same tokens: so exact match needs no generation.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from mpiedge.task.task import IGNORED

LARGEST_EXPONENT = 700.0  # exp of more is no float64


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, summed over the label tokens."""
    return functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )


def observe_tokens(logits: Tensor, labels: Tensor) -> Tensor:
    """Of each row: the summed loss, its label tokens, those that are right, whether all are."""
    counted = labels != IGNORED
    losses = functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(labels)
    right = ((logits.argmax(-1) == labels) & counted).sum(1)
    tokens = counted.sum(1)
    columns = [losses.double().sum(1), tokens.double(), right.double(), (right == tokens).double()]
    return torch.stack(columns, dim=1)


def score_tokens(observed: Tensor) -> dict[str, float]:
    """Mean loss of a token, perplexity, and how often a token and a whole row is right."""
    rows = observed.cpu().double()
    loss, tokens, right, _ = rows.sum(0).tolist()
    whole = rows[rows[:, 1] > 0, 3]
    mean = loss / max(tokens, 1.0)
    return {
        "perplexity": math.exp(min(mean, LARGEST_EXPONENT)),
        "loss": mean,
        "token_accuracy": right / max(tokens, 1.0),
        "exact_match": float(whole.mean()) if len(whole) else 0.0,
    }
