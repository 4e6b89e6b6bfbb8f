"""PEFT's LoRA with plain PyTorch DistributedDataParallel over gloo: one rank of it."""

import json
import os
import sys
import time

import torch
from batches import given, optimizer, portions
from torch import distributed
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel


def main(run_file):
    """Train; rank 0 prints the seconds of each epoch and the losses of all updates."""
    torch.set_num_threads(1)
    rank, ranks = (int(os.environ[f"OMPI_COMM_WORLD_{name}"]) for name in ("RANK", "SIZE"))
    distributed.init_process_group("gloo", rank=rank, world_size=ranks)
    one = given(run_file)
    model = DistributedDataParallel(one.model)
    tuned = [each for each in model.parameters() if each.requires_grad]
    steps, size = optimizer(one, tuned), one.settings.batch_size
    seconds, losses = [], []
    for epoch in range(one.epochs):
        distributed.barrier()
        start = time.perf_counter()
        for update in range(epoch * one.updates, (epoch + 1) * one.updates):
            mine = list(portions(one, update))[rank::ranks]
            total = torch.zeros(())
            for number, (tokens, types, mask, labels) in enumerate(mine):
                model.require_backward_grad_sync = number == len(mine) - 1
                logits = model(tokens, attention_mask=mask, token_type_ids=types).logits
                loss = cross_entropy(logits, labels, reduction="sum") / size
                (ranks * loss).backward()  # DDP takes the mean over ranks
                total += loss.detach()
            steps.step()
            steps.zero_grad()
            distributed.all_reduce(total)
            losses.append(total.item())
        seconds.append(time.perf_counter() - start)
    if rank == 0:
        print(json.dumps({"seconds": seconds, "losses": losses}))
    distributed.barrier()
    sys.stdout.flush()
    os._exit(0)  # a rank may hang as the group is destroyed, when the other has gone


main(sys.argv[1])
