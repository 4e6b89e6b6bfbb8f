"""A transformers model called as always, although its answer comes from the network beside it.

transformers' own ``forward`` knows nothing of a side network, so it is replaced, for this one model
and not for its class, by one with the same names of arguments and the same outputs.  Apart from
``shard``, which runs the layers and knows nothing of transformers' calls.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.loss.loss_utils import ForCausalLMLoss, ForSequenceClassificationLoss
from transformers.modeling_outputs import (
    CausalLMOutput,
    Seq2SeqLMOutput,
    SequenceClassifierOutput,
)
from transformers.utils import ModelOutput

from mpiedge.errors import BadInput
from mpiedge.model.activation import Activation, entrance
from mpiedge.model.blueprint import Blueprint
from mpiedge.model.purpose import Purpose
from mpiedge.model.shard import Shard
from mpiedge.model.side import side_of

_IGNORED = -100
"""The label that counts for nothing, as everywhere in transformers."""

_WITHOUT = (
    "past_key_values",  # up to transformers 5.23
    "cache",  # the same from then on
    "position_ids",
    "inputs_embeds",
    "decoder_inputs_embeds",
    "decoder_attention_mask",
)
"""Arguments of transformers that would change the answer, and that a side network cannot take."""


@dataclass
class Encoded(ModelOutput):  # type: ignore[misc]
    """What the encoders made, [rows, source, width] and [rows, source, width / reduction]."""

    last_hidden_state: Tensor | None = None  # of the model, before its last norm
    side: Tensor | None = None


def run_beside(blueprint: Blueprint, purpose: Purpose) -> PreTrainedModel:
    """Let a model with a side network, all of whose weights are real, answer through it."""
    model: PreTrainedModel = blueprint.model
    call = SideForward(blueprint, purpose)
    model.forward = call.forward
    if purpose.generates:
        # Keys and values of the network beside are not kept: each token is one whole pass.
        model.config.use_cache = model.generation_config.use_cache = False
    if blueprint.bridge is not None:
        model.get_encoder = call.encoder
    return model


class SideForward:
    """The replaced ``forward``, and the encoder that ``generate`` asks for."""

    def __init__(self, blueprint: Blueprint, purpose: Purpose) -> None:
        self._shard, self._purpose = Shard(blueprint, range(blueprint.num_layers)), purpose

    def forward(  # noqa: PLR0913 - the names are transformers'
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        token_type_ids: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        encoder_outputs: Encoded | None = None,
        return_dict: bool | None = None,
        **others: Any,
    ) -> Any:
        """Logits, and with ``labels`` the loss, in transformers' own classes of outputs.

        Tokens and mask are [rows, seq].  Arguments not named here that ask for intermediate results
        or for nothing are ignored; one that would change the answer raises BadInput.
        """
        _check(others)
        bridge, layers = self._shard.blueprint.bridge, range(self._shard.blueprint.num_layers)
        if encoder_outputs is not None:
            x = _left_by(encoder_outputs, attention_mask)
        else:
            entered = _required("input_ids", input_ids)
            x = self.enter(entered, attention_mask, token_type_ids)
        if bridge is not None:
            given = self._decoder_tokens(decoder_input_ids, input_ids, labels)
            x = self._shard(x, layers[bridge:], {bridge: (given,)})
        logits, loss = x.hidden, None
        if labels is not None:
            loss = self._loss(logits, labels)
        output = _OUTPUTS[self._purpose](loss=loss, logits=logits)
        return output if return_dict is None or return_dict else output.to_tuple()

    def enter(
        self, tokens: Tensor, mask: Tensor | None = None, types: Tensor | None = None
    ) -> Activation:
        """Tokens through the encoder, or through the whole of a model without a decoder apart."""
        shard, side = self._shard, side_of(self._shard.model)
        assert side is not None
        if shard.model.training:
            # Someone asked the whole model to train; only the network beside it ever does.
            shard.train(side.training)
        stop = (
            shard.blueprint.num_layers if shard.blueprint.bridge is None else shard.blueprint.bridge
        )
        entry = (tokens, torch.zeros_like(tokens) if types is None else types)
        real = torch.ones_like(tokens) if mask is None else mask.to(tokens.dtype)
        x: Activation = shard(entrance(real), range(stop), {0: entry})
        return x

    def encoder(self, modality: str | None = None) -> nn.Module:
        """What stands for the model's encoder in ``generate``."""
        return _Encoder(self)

    def _decoder_tokens(
        self, given: Tensor | None, tokens: Tensor | None, labels: Tensor | None
    ) -> Tensor:
        """The decoder's tokens: those given, or made of the answer or of the text to classify."""
        if given is not None:
            return given
        config, start = self._shard.model.config, self._shard.blueprint.decoder_start
        assert start is not None
        if self._purpose.generates:
            source = _required("decoder_input_ids or labels", labels)
        else:
            source = _required("input_ids", tokens)
        first = torch.full_like(source[:, :1], start)
        late = torch.cat([first, source[:, :-1]], dim=1)
        return late.masked_fill(late == _IGNORED, config.pad_token_id)

    def _loss(self, logits: Tensor, labels: Tensor) -> Any:
        config = self._shard.model.config
        if self._purpose is Purpose.LANGUAGE:
            return ForCausalLMLoss(logits, labels, vocab_size=logits.shape[-1])
        if self._purpose is Purpose.SEQ2SEQ:
            return functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return ForSequenceClassificationLoss(labels, logits, config)


class _Encoder(nn.Module):
    """The encoder by itself, so that ``generate`` computes it once for all tokens."""

    def __init__(self, call: SideForward) -> None:
        super().__init__()
        self._call = call

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> Encoded:
        x = self._call.enter(input_ids, attention_mask)
        return Encoded(last_hidden_state=x.hidden, side=x.side)


_OUTPUTS = {
    Purpose.CLASSIFICATION: SequenceClassifierOutput,
    Purpose.REGRESSION: SequenceClassifierOutput,
    Purpose.LANGUAGE: CausalLMOutput,
    Purpose.SEQ2SEQ: Seq2SeqLMOutput,
}


def _left_by(encoded: Encoded, mask: Tensor | None) -> Activation:
    hidden, side = encoded.last_hidden_state, encoded.side
    assert hidden is not None and side is not None
    real = torch.ones(hidden.shape[:2], dtype=torch.int64, device=hidden.device)
    x = entrance(real if mask is None else mask.to(torch.int64))
    return x._replace(hidden=hidden, side=side)


def _required(name: str, tokens: Tensor | None) -> Tensor:
    if tokens is None:
        raise BadInput(f"{name}: a model with a side network needs tokens; none were given")
    return tokens


def _check(others: dict[str, Any]) -> None:
    for name in _WITHOUT:
        if others.get(name) is not None:
            raise BadInput(
                f"{name}: a model with a side network cannot take it; leave it out, and give "
                "tokens and masks only (to generate: use_cache=False)"
            )
