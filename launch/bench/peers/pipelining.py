"""PEFT's LoRA in a pipeline of torch.distributed.pipelining, 1F1B over gloo: one rank of it.

It wants micro-batches of one shape, so all are as long as the longest example.
"""

import json
import os
import sys
import time

import torch
from batches import given, optimizer, portions
from torch import distributed, nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B
from torch.nn.functional import cross_entropy, pad


class Part(nn.Module):
    """Some blocks of BERT, with the embedding if they are the first and the head if the last."""

    def __init__(self, model, blocks, last):
        super().__init__()
        self.first = blocks.start == 0
        self.embeddings = model.bert.embeddings if self.first else None
        self.layers = nn.ModuleList(model.bert.encoder.layer[i] for i in blocks)
        self.head = nn.ModuleList([model.bert.pooler, model.classifier]) if last else None

    def forward(self, x, types_or_mask, mask=None):
        """From tokens or hidden states to hidden states and the mask, or to logits."""
        if self.first:
            x = self.embeddings(input_ids=x, token_type_ids=types_or_mask)
            mask = (1.0 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
        else:
            mask = types_or_mask
        for layer in self.layers:
            y = layer(x, mask)
            x = y[0] if isinstance(y, tuple) else y
        if self.head is None:
            return x, mask
        pooler, classifier = self.head
        return classifier(pooler(x))


def main(run_file, sizes):
    """Train; the last rank prints the seconds of each epoch and the losses of all updates."""
    torch.set_num_threads(1)
    rank, ranks = (int(os.environ[f"OMPI_COMM_WORLD_{name}"]) for name in ("RANK", "SIZE"))
    distributed.init_process_group("gloo", rank=rank, world_size=ranks)
    one = given(run_file)
    starts = [sum(sizes[:place]) for place in range(ranks + 1)]
    part = Part(one.model, range(starts[rank], starts[rank + 1]), rank == ranks - 1)
    stage = PipelineStage(part, rank, ranks, torch.device("cpu"))
    size, count = one.settings.batch_size, one.settings.batch_size // one.settings.micro_batch_size
    schedule = Schedule1F1B(
        stage,
        count,
        loss_fn=lambda logits, labels: cross_entropy(logits, labels, reduction="sum") / size,
        scale_grads=False,
    )
    steps = optimizer(one, [each for each in part.parameters() if each.requires_grad])
    seconds, losses = [], []
    for epoch in range(one.epochs):
        distributed.barrier()
        start = time.perf_counter()
        for update in range(epoch * one.updates, (epoch + 1) * one.updates):
            rows = [
                [pad(x, (0, one.longest - x.shape[1])) for x in each[:3]] + [each[3]]
                for each in portions(one, update)
            ]
            tokens, types, mask, labels = (torch.cat(column) for column in zip(*rows, strict=True))
            found = []
            if rank == 0:
                schedule.step(tokens, types, mask)
            elif rank == ranks - 1:
                schedule.step(target=labels, losses=found)
            else:
                schedule.step()
            steps.step()
            steps.zero_grad()
            losses.append(sum(each.item() for each in found))
        distributed.barrier()
        seconds.append(time.perf_counter() - start)
    if rank == ranks - 1:
        print(json.dumps({"seconds": seconds, "losses": losses}))
    distributed.barrier()
    sys.stdout.flush()
    os._exit(0)  # a rank may hang as the group is destroyed, when the other has gone


main(sys.argv[1], [int(word) for word in sys.argv[2].split(",")])
