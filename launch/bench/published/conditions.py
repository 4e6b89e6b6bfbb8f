"""The conditions of the published tables: models, tasks, devices and network.

All of PAC's paper, section 6.1, unless said otherwise.
"""

from mpiedge.plan.cost import Device, Link
from mpiedge.plan.shapes import Shape, Technique

MODELS = {
    "t5-base": Shape(768, 3072, 12, 12, 12, vocabulary=32128),
    "bart-large": Shape(
        1024,
        4096,
        16,
        12,
        12,
        vocabulary=50265,
        positions=2 * 1026,
        biased=True,
        fused_norms=True,
        scores=False,  # a classification head: Fig. 9b's weights have the embedding once
    ),
    "t5-large": Shape(1024, 4096, 16, 24, 24, vocabulary=32128),
}
SYSTEMS = {
    "full": ("standalone", "ecofl", "eddl"),
    "adapters": ("standalone", "ecofl", "eddl"),
    "lora": ("standalone", "ecofl", "eddl"),
    "parallel": ("pac",),
}
TECHNIQUES = {technique.value: technique for technique in Technique}
TASKS = {  # examples, epochs
    "mrpc": (3668, 3),
    "stsb": (5749, 3),
    "sst2": (67349, 1),
    "qnli": (104743, 1),
}
BATCH = 16
DEVICES = 8
MEMORY = int(1.51 * 2**30)  # bytes; the line "out of memory" in Figs. 8b and 9b
LINK = Link(bandwidth=1.177e8, latency=2e-4)  # 1000 Mb/s Ethernet less the headers of TCP and IP
NANO = Device(speed=1.0, memory=MEMORY)
MOMENTS = 0  # plain SGD: Table 1's activations "with optimizer states" leave no room for moments
