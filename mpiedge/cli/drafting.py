"""A run file and a hostfile as text, from what a user answered.

Which strategy and how many epochs are our choices, those of ``launch/recipes``; all of it can be
changed in the file.
"""

from textwrap import wrap
from typing import Any, NamedTuple

import tomli_w

from mpiedge.launch.hostfile import Host
from mpiedge.run.looking import Seen

MODELS = {
    "classification": "sentence-transformers/all-MiniLM-L6-v2",
    "regression": "sentence-transformers/all-MiniLM-L6-v2",
    "language": "HuggingFaceTB/SmolLM2-135M",
    "seq2seq": "google-t5/t5-small",
}
STRATEGIES = ("pac", "pipeline", "data-parallel", "ring", "split", "deft", "fedlora", "splitlora")
WITH_SERVER = ("split", "deft", "fedlora", "splitlora")
AT_HOME = ("ring", *WITH_SERVER)

_ABOUT = {
    "pac": "the first epoch stores what the model makes of each text; later ones are quick",
    "pipeline": "the model's layers are shared out over the devices",
    "data-parallel": "the whole model on every device",
    "ring": "every device trains on its own texts, which stay there; blocks unfreeze from the top",
    "split": "devices run the lowest blocks, rank 0 trains the rest; texts stay on the devices",
    "deft": "every device tunes the one block that suits it; texts stay on the devices",
    "fedlora": "every device tunes a copy of the adapters, which are averaged",
    "splitlora": "devices and rank 0 train their parts of the model; texts stay on the devices",
}


class Answers(NamedTuple):
    """What is to be done."""

    name: str  # of the files, without an ending
    data: str
    seen: Seen
    model: str
    strategy: str
    hosts: tuple[Host, ...]  # one named localhost: this machine alone
    at_home: bool  # whether each device has texts of its own

    @property
    def ranks(self) -> int:
        """Ranks on all hosts."""
        return sum(host.slots for host in self.hosts)

    @property
    def alone(self) -> bool:
        """Whether no other machine takes part."""
        return [host.name for host in self.hosts] == ["localhost"]


def usual_strategy(task: str, at_home: bool) -> str:
    """What suits such a task best, as far as we have measured, where texts lie at one place or not.

    Text is written with LoRA, which any program reads.
    """
    if at_home:
        return "ring"
    return "pipeline" if task == "language" else "pac"


def start(answers: Answers) -> str:
    """The words before a command that start it on the devices."""
    if answers.ranks == 1:
        return "mpiedge"
    hosts = f"-n {answers.ranks}" if answers.alone else f"--hostfile {answers.name}.hosts"
    return f"mpiedge launch {hosts} --"


def hostfile(answers: Answers) -> str:
    """The hostfile; rank 0 runs on its first host."""
    lines = [f"{host.name} slots={host.slots}" for host in answers.hosts]
    about = f"# The devices of {answers.name}.toml; {lines[0].split()[0]} is where launch runs."
    return "\n".join([about, *lines, ""])


def run_file(answers: Answers) -> str:
    """The run file, with a line about what it does."""
    plan = f"mpiedge plan {answers.name}.toml --ranks {answers.ranks}"
    head = [
        *wrap(_sentence(answers), 100, initial_indent="# ", subsequent_indent="# "),
        "#",
        f"#   {plan}",
        f"#   {start(answers)} train {answers.name}.toml",
        "#",
        "# Every setting there is: mpiedge settings",
    ]
    parts = ["\n".join(head)]
    for section, values in _sections(answers).items():
        parts.append("\n".join([f"[{section}]", *map(_line, values.items())]))
    return "\n\n".join(parts) + "\n"


def _sentence(answers: Answers) -> str:
    devices = "1 device" if answers.ranks == 1 else f"{answers.ranks} devices"
    return f"{answers.seen.task.capitalize()} on {devices}: {_ABOUT[answers.strategy]}."


def _line(pair: tuple[str, Any]) -> str:
    """A setting; a list stands in one line."""
    key, value = pair
    each = value if isinstance(value, list) else [value]
    written = ", ".join(tomli_w.dumps({"": one}).strip().removeprefix('"" = ') for one in each)
    return f"{key} = [{written}]" if isinstance(value, list) else f"{key} = {written}"


def _sections(answers: Answers) -> dict[str, dict[str, Any]]:
    beside = answers.strategy == "pac"
    task: dict[str, Any] = {"name": answers.seen.task, "data": answers.data}
    if answers.at_home:
        clients = max(1, answers.ranks - (answers.strategy in WITH_SERVER))
        task["client_files"] = [answers.seen.source] * clients
    task["text"] = list(answers.seen.columns.text)
    if answers.seen.columns.label:
        task["label"] = answers.seen.columns.label
    task["max_length"] = answers.seen.length
    if answers.seen.task == "seq2seq":
        task["max_target_length"] = answers.seen.length
    return {
        "model": {"name": answers.model},
        "adapter": {"kind": "parallel", "dropout": 0.1} if beside else {"kind": "lora"},
        "task": task,
        "strategy": {"name": answers.strategy},
        "training": _training(answers.seen.rows, beside),
    }


def _training(rows: int, beside: bool) -> dict[str, Any]:
    """Batches of at most a twentieth of the examples, so that an epoch is some updates."""
    size = next((size for size in (32, 16) if rows >= 20 * size), 8)
    return {
        "epochs": 8 if beside else 3,
        "batch_size": size,
        "micro_batch_size": max(2, size // 4),
        "learning_rate": 1e-3 if beside else 5e-4,
    }
