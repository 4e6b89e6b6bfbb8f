"""What was published of T5-Base: the only numbers that anything is fitted to.

Table 2 (hours) and Fig. 8a (seconds an example) of PAC's paper (ICPP 2024,
doi 10.1145/3673038.3673043).  Fig. 3 is not fitted: it is a check of the counts.
"""

from published.conditions import TASKS

_HOURS = {  # technique, system -> hours of mrpc, stsb, sst2, qnli; none: out of memory
    ("full", "standalone"): (),
    ("full", "ecofl"): (0.45, 0.71, 2.74, 4.32),
    ("full", "eddl"): (),
    ("adapters", "standalone"): (1.21, 1.90, 7.29, 11.51),
    ("adapters", "ecofl"): (0.39, 0.61, 2.35, 3.71),
    ("adapters", "eddl"): (0.34, 0.53, 2.06, 3.25),
    ("lora", "standalone"): (1.21, 1.89, 7.28, 11.49),
    ("lora", "ecofl"): (0.41, 0.64, 2.45, 3.87),
    ("lora", "eddl"): (0.31, 0.48, 1.86, 2.94),
    ("parallel", "pac"): (0.14, 0.22, 1.34, 2.12),
}
HOURS = {key: dict(zip(TASKS, row, strict=False)) for key, row in _HOURS.items()}

PASSES = {  # technique -> seconds an example, forward and backward
    "full": (0.226, 0.335),
    "adapters": (0.213, 0.176),
    "lora": (0.232, 0.185),
    "parallel": (0.230, 0.035),
}
CACHED = (0.0081, 0.0141)

OPERATIONS = {  # Fig. 3: 1e12 operations of a mini-batch, forward and backward together
    "full": 0.418 + 0.837,
    "adapters": 0.467 + 0.386,
    "lora": 0.496 + 0.395,
}
