"""What ``mpiedge init`` asks, and the files it writes.

Apart from the command, which imports it when it is used, as the rest of the work of commands.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from mpiedge.cli.drafting import (
    AT_HOME,
    MODELS,
    STRATEGIES,
    WITH_SERVER,
    Answers,
    hostfile,
    run_file,
    start,
    usual_strategy,
)
from mpiedge.errors import BadInput
from mpiedge.launch.hostfile import MOST_SLOTS, NAME, Host
from mpiedge.run.looking import look, sentence

HERE, EACH = "here", "each"
_FILE = re.compile(r"\w([\w.-]*\w)?")


class Given(NamedTuple):
    """The options; what is None or empty is asked, or is as usual."""

    data: str | None
    task: str | None
    model: str | None
    devices: str | None
    texts: str | None
    text: tuple[str, ...]
    label: str
    strategy: str
    name: str
    yes: bool


def begin(given: Given, folder: Path) -> None:
    """Ask for what is not given and write the files; raises BadInput where that cannot be."""
    _check(given)
    answers = _answers(given)
    files = {folder / f"{answers.name}.toml": run_file(answers)}
    if not answers.alone:
        files[folder / f"{answers.name}.hosts"] = hostfile(answers)
    for path in files:
        if path.exists():
            raise BadInput(f"{path} is there already; give another --name, or remove it")
    for path, text in files.items():
        _write(path, text)
    click.echo(f"wrote {' and '.join(map(str, files))}; next:")
    click.echo(f"  mpiedge plan {answers.name}.toml --ranks {answers.ranks}")
    click.echo(f"  {start(answers)} train {answers.name}.toml")
    click.echo(f"  mpiedge report runs/{answers.name}")


def _check(given: Given) -> None:
    if given.strategy and given.strategy not in STRATEGIES:
        raise BadInput(f"--strategy {given.strategy} is none of {', '.join(STRATEGIES)}")
    if given.name and not _FILE.fullmatch(given.name):
        raise BadInput(f"--name {given.name!r} cannot be a file's name; use letters and digits")
    if given.yes and not given.data:
        raise BadInput("--yes needs --data: which examples to learn from cannot be guessed")


def _answers(given: Given) -> Answers:
    data = given.data or click.prompt("1. Examples: a .csv, .tsv, .jsonl or .txt file, or a folder")
    seen = look(data, given.task or "", given.text, given.label)
    click.echo(sentence(seen))
    if given.task is None:
        task = _asked(given, "2. What is to be learnt", seen.task, tuple(MODELS))
        # Another task has other columns.
        seen = seen if task == seen.task else look(data, task, given.text, given.label)
    model = given.model or _asked(given, "3. Model, a folder or a hub id", MODELS[seen.task])
    hosts = hosts_of(
        given.devices or _asked(given, "4. Devices: ranks here, or machines (a,b,c)", "1")
    )
    usual = EACH if given.strategy in AT_HOME and seen.validated else HERE
    words = "5. All texts here, or each device its own"
    texts = given.texts or _asked(given, words, usual, (HERE, EACH))
    strategy = given.strategy or usual_strategy(seen.task, texts == EACH)
    name = given.name or _name(data)
    answers = Answers(name, data, seen, model, strategy, hosts, at_home=texts == EACH)
    _check_place(answers)
    return answers


def hosts_of(devices: str) -> tuple[Host, ...]:
    """The hosts that a user's word for them means: ``4``, or ``pi-1,pi-2``, or ``pi-1:2,pi-2``."""
    if devices.isdecimal():
        return (_host("localhost", devices, devices),)
    words = [word.strip().partition(":") for word in devices.split(",")]
    hosts = tuple(_host(name, slots or "1", devices) for name, _, slots in words)
    names = [host.name for host in hosts]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BadInput(f"the devices {devices} name {twice[0]} twice; write {twice[0]}:2")
    return hosts


def _host(name: str, slots: str, devices: str) -> Host:
    if not NAME.fullmatch(name) or not slots.isdecimal() or not 1 <= int(slots) <= MOST_SLOTS:
        raise BadInput(
            f"the devices {devices!r} are not understood; give a number of ranks from 1 to "
            f"{MOST_SLOTS}, or names as in pi-1,pi-2"
        )
    return Host(name, int(slots))


def _check_place(answers: Answers) -> None:
    """Refuse what no run could do."""
    strategy, seen = answers.strategy, answers.seen
    if strategy in WITH_SERVER and answers.ranks < 2:
        raise BadInput(f"strategy {strategy} has a server and devices; give 2 --devices or more")
    if not answers.at_home:
        return
    if strategy not in AT_HOME:
        raise BadInput(
            f"with strategy {strategy} all texts have to be here; use --texts here, or one of "
            f"{', '.join(AT_HOME)}"
        )
    if not seen.validated:
        raise BadInput(
            f"{answers.data} has no validation file, which stays here when each device has its "
            "own texts; give a folder with train and validation files"
        )


def _asked(given: Given, words: str, usual: str, choices: Sequence[str] = ()) -> str:
    if given.yes:
        return usual
    kind = click.Choice(choices) if choices else None
    answer: str = click.prompt(words, default=usual, type=kind)
    return answer


def _name(data: str) -> str:
    """A name for files, made of that of the data."""
    return re.sub(r"[^\w-]+", "-", Path(data).resolve().name.partition(".")[0]).strip("-") or "run"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from None
