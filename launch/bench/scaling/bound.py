"""The least an update of LoRA can take: its multiplications, at the rate of a large one."""

import time

import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel

_SIDE, _TIMES = 1536, 7


def seconds(model, examples, tokens):
    """An example's share of forward and backward of a micro-batch, by one thread."""
    return _operations(model, examples, tokens) / _rate() / examples


def _operations(model, examples, tokens):
    plain = AutoModel.from_pretrained(model, attn_implementation="eager")
    tuned = get_peft_model(plain, LoraConfig(r=8, target_modules=["query", "value"])).train()
    with FlopCounterMode(display=False) as counter:
        out = tuned(torch.ones(examples, tokens, dtype=torch.long)).last_hidden_state
        out[:, 0].sum().backward()
    return counter.get_total_flops()


def _rate():
    """Operations in a second of the best of some large multiplications."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one = torch.randn(_SIDE, _SIDE)
    best = min(_timed(one) for _ in range(_TIMES))
    torch.set_num_threads(threads)
    return 2 * _SIDE**3 / best


def _timed(one):
    start = time.perf_counter()
    one @ one
    return time.perf_counter() - start
