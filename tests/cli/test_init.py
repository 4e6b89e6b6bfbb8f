"""A run file made from answers: mpiedge reads it and trains by it; nothing is written over."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mpiedge.__main__ import main
from mpiedge.cli.begun import hosts_of
from mpiedge.cli.group import group
from mpiedge.cli.init import TASKS
from mpiedge.config import read
from mpiedge.errors import BadInput
from mpiedge.launch.hostfile import Host
from mpiedge.launch.hostfile import read as read_hosts
from mpiedge.strategy.registry import AT_CLIENTS
from mpiedge.task.settings import TaskSettings
from tests.models import save_tiny
from tests.runs import run, write_requests

FAMILIES = {"classification": "bert", "regression": "bert", "language": "llama", "seq2seq": "t5"}
FILES = {
    "classification": ("notes.csv", 'text,label\n"a, b c",x\nd e,y\n'),
    "regression": ("pairs.tsv", "sentence1\tsentence2\tscore\na b\tc\t0.5\nd\te f\t3\nd\tf\t4\n"),
    "language": ("notes.txt", "today I read\nand then I slept\n"),
    "seq2seq": (
        "words.jsonl",
        '{"source": "a b", "target": "c"}\n{"source": "d", "target": "e"}\n',
    ),
}
SHORT = (
    "task.max_length=16",
    "training.epochs=2",
    "training.batch_size=4",
    "training.micro_batch_size=2",
    "training.threads=1",
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(*words: str, answers: str = "") -> Result:
    return CliRunner().invoke(group, ["init", *words], input=answers)


def data(place: Path, task: str, times: int = 1) -> str:
    name, text = FILES[task]
    head, _, rows = text.partition("\n") if name.endswith(("csv", "tsv")) else ("", "", text)
    (place / name).write_text((head + "\n" if head else "") + rows * times, encoding="utf-8")
    return name


@pytest.mark.parametrize("task", TASKS)
def test_every_task_trains_by_what_was_written(task: str, place: Path) -> None:
    name = data(place, task, times=6)
    given = ("--task", task) if task == "seq2seq" else ()
    assert asked("--data", name, "--devices", "2", "--yes", *given).exit_code == 0
    model = save_tiny(FAMILIES[task], place / "model", blocks=2)
    words = (f"model.name={model}", f"cache.folder={place / 'cache'}", *SHORT)
    settings = read(Path(name).with_suffix(".toml"), words)
    assert settings.task.name == task
    done = run(settings, 2, place / "out")
    assert done.result["epochs"][-1]["epoch"] == 2


@pytest.mark.parametrize("strategy", sorted(AT_CLIENTS))
def test_texts_that_stay_on_devices_train(strategy: str, place: Path) -> None:
    write_requests(place / "home", rows=12)
    words = ("--texts", "each", "--devices", "3", "--strategy", strategy, "--yes")
    found = asked("--data", "home", *words)
    assert found.exit_code == 0, found.output
    model = save_tiny("bert", place / "model", blocks=3)
    settings = read(Path("home.toml"), (f"model.name={model}", *SHORT))
    assert settings.task.client_files == ["home/train.tsv"] * (3 if strategy == "ring" else 2)
    done = run(settings, 3, place / "out")
    assert done.result["epochs"][-1]["epoch"] == 2


def test_five_questions(place: Path) -> None:
    name = data(place, "classification")
    found = asked(answers=f"{name}\n\nmodels/bert\npi-1,pi-2:2\nhere\n")
    assert found.exit_code == 0, found.output
    assert all(f"{number}. " in found.output for number in range(1, 6))
    assert "notes.csv: 2 examples, columns text, label, 2 labels: x, y" in found.output
    settings = read(Path("notes.toml"))
    assert (settings.model.name, settings.strategy.name) == ("models/bert", "pac")
    assert settings.task == TaskSettings(
        name="classification", data=name, text=["text"], label="label", max_length=32
    )
    assert read_hosts(Path("notes.hosts")) == (Host("pi-1", 1), Host("pi-2", 2))
    assert "mpiedge launch --hostfile notes.hosts -- train notes.toml" in found.output


def test_another_task_than_the_data_suggests(place: Path) -> None:
    (place / "a.csv").write_text("prompt,completion\na,b\nc,d\n", encoding="utf-8")
    found = asked("--data", "a.csv", answers="seq2seq\n\n\n\n")
    assert found.exit_code == 0, found.output
    assert read(Path("a.toml")).task.name == "seq2seq"


def test_long_texts_get_room(place: Path) -> None:
    (place / "a.txt").write_text(
        f"{'word ' * 150}\n" * 30 + f"{'word ' * 1000}\n", encoding="utf-8"
    )
    assert asked("--data", "a.txt", "--yes").exit_code == 0
    assert read(Path("a.toml")).task.max_length == 256


def test_texts_that_mean_something_to_toml(place: Path) -> None:
    (place / 'a "b\\.csv').write_text('te"xt,lab\\el\na,x\nb,y\n', encoding="utf-8")
    words = ("--text", 'te"xt', "--label", "lab\\el", "--name", "run", "--yes")
    assert asked("--data", 'a "b\\.csv', *words).exit_code == 0
    found = read(Path("run.toml")).task
    assert (found.data, found.text, found.label) == ('a "b\\.csv', ['te"xt'], "lab\\el")


def test_nothing_is_written_over(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = data(place, "classification")
    words = ["init", "--data", name, "--yes", "--devices", "a,b"]
    (place / "notes.hosts").write_text("mine", encoding="utf-8")
    assert main(words) == 2
    assert "notes.hosts is there already; give another --name" in capsys.readouterr().err
    assert not (place / "notes.toml").exists()
    assert (place / "notes.hosts").read_text(encoding="utf-8") == "mine"


WRONG = [
    (("--data", "none.csv"), "there is no folder or file none.csv"),
    ((), "--yes needs --data"),
    (("--data", "notes.csv", "--strategy", "no"), "--strategy no is none of pac, pipeline"),
    (("--data", "notes.csv", "--name", "../a"), "'../a' cannot be a file's name"),
    (("--data", "notes.csv", "--devices", "0"), "the devices '0' are not understood"),
    (("--data", "notes.csv", "--devices", "-x,b"), "the devices '-x,b' are not understood"),
    (("--data", "notes.csv", "--devices", "a,a"), "name a twice; write a:2"),
    (("--data", "notes.csv", "--strategy", "split"), "split has a server and devices"),
    (("--data", "notes.csv", "--texts", "each"), "notes.csv has no validation file"),
    (
        ("--data", "notes.csv", "--texts", "each", "--strategy", "pac"),
        "with strategy pac all texts have to be here; use --texts here, or one of ring",
    ),
    (("--data", "notes.csv", "--label", "none"), "has no column 'none'"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_one_line_says_what_is_wrong(
    words: tuple[str, ...], said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data(place, "classification")
    assert main(["init", "--yes", *words]) == 2
    found = capsys.readouterr().err
    assert said in found
    assert found.count("\n") == 1
    assert not list(place.glob("*.toml"))


def test_a_column_of_many_different_values_is_no_label(place: Path) -> None:
    rows = "".join(f"text {i},name{i}\n" for i in range(200))
    (place / "a.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    assert main(["init", "--data", "a.csv", "--yes"]) == 2


def test_hosts_of_a_word() -> None:
    assert hosts_of("4") == (Host("localhost", 4),)
    assert hosts_of("a, b:3") == (Host("a", 1), Host("b", 3))
    with pytest.raises(BadInput, match="not understood"):
        hosts_of("a,b:x")
