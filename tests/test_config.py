"""Run files: what is read from them, and the one line that a wrong one gets."""

from pathlib import Path

import pytest

from mpiedge.cli.settings import reference
from mpiedge.config import RunSettings, described, from_values, read, to_toml
from mpiedge.errors import BadInput

GOOD = '[model]\nname = "m"\n[task]\nname = "mrpc"\n'


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def complaint(path: Path, *overrides: str) -> str:
    """The one line that reading the file gives."""
    with pytest.raises(BadInput) as bad:
        read(path, overrides)
    assert "\n" not in str(bad.value)
    return str(bad.value)


def test_what_is_left_out_keeps_its_default(run_file: Path) -> None:
    settings = read(run_file)
    assert (settings.model.name, settings.task.name) == ("m", "mrpc")
    assert (settings.training.epochs, settings.adapter.kind) == (3, "lora")
    assert settings.comm.timeout == 60.0


def test_every_value_that_is_given_is_taken(run_file: Path) -> None:
    lists = 'labels = ["a", "b"]\n[strategy]\nlayers = [1, 3]\nshares = [2, 0.5]\n'
    training = "[training]\nlearning_rate = 1\nepochs = 7\nseed = 4\n"
    run_file.write_text(GOOD + lists + training, encoding="utf-8")
    settings = read(run_file)
    assert settings.task.labels == ["a", "b"]
    assert (settings.strategy.layers, settings.strategy.shares) == ([1, 3], [2, 0.5])
    assert (settings.training.epochs, settings.training.seed) == (7, 4)
    assert settings.training.learning_rate == 1.0
    assert isinstance(settings.training.learning_rate, float)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("modle.name=x", "unknown section [modle]; did you mean model?"),
        ("zzz.name=x", "unknown section [zzz]; known: model, adapter, task"),
        ("training.epoch=1", "training.epoch is not a setting; did you mean epochs?"),
        ("comm.zzz=1", "comm.zzz is not a setting; known: timeout"),
        ("training.epochs=two", "training.epochs = 'two' has to be a whole number"),
        ("training.epochs=1.0", "training.epochs = 1.0 has to be a whole number"),
        ("training.epochs=true", "training.epochs = True has to be a whole number"),
        ("training.warmup=false", "training.warmup = False has to be a number"),
        ("model.name=3", "model.name = 3 has to be a string"),
        ("task.labels=3", "task.labels = 3 has to be a list of strings"),
        ("strategy.layers=[1, 2.0]", "strategy.layers = [1, 2.0] has to be a list of whole"),
        ("strategy.shares=['a']", "strategy.shares = ['a'] has to be a list of numbers"),
        ("training.epochs=0", "training.epochs = 0 has to be at least 1"),
        ("training.learning_rate=-0.1", "training.learning_rate = -0.1 has to be above 0"),
        ("training.learning_rate=0", "training.learning_rate = 0 has to be above 0"),
        ("training.learning_rate=nan", "training.learning_rate = nan has to be a finite number"),
        ("training.weight_decay=nan", "training.weight_decay = nan has to be a finite number"),
        ("comm.timeout=0", "comm.timeout = 0 has to be above 0"),
        ("adapter.kind=lara", "adapter.kind = 'lara' is not one of lora, bottleneck, parallel"),
        ("model.dtype=bfloat", "did you mean bfloat16?"),
        ("training.optimizer=ADAM", "training.optimizer = 'ADAM' is not one of adamw, sgd"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(
    run_file: Path, override: str, said: str
) -> None:
    message = complaint(run_file, override)
    assert message.startswith(f"--set {override}: ")
    assert said in message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("runs/data", "runs/data"),
        ('"1"', "1"),
        ("'single'", "single"),
        (" spaced out ", "spaced out"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_an_override_is_toml_and_a_bare_word_a_string(
    run_file: Path, text: str, value: str
) -> None:
    assert read(run_file, [f"task.data={text}"]).task.data == value


def test_overrides_may_be_numbers_and_lists_and_the_last_one_stands(run_file: Path) -> None:
    overrides = (
        "training.learning_rate=1e-4",
        "strategy.layers=[2, 2]",
        "task.labels=['on', \"off\"]",
        "training.epochs=4",
        "training.epochs = 5",
    )
    settings = read(run_file, overrides)
    assert settings.training.learning_rate == 1e-4
    assert settings.strategy.layers == [2, 2]
    assert settings.task.labels == ["on", "off"]
    assert settings.training.epochs == 5


def test_an_override_can_give_what_the_file_lacks(run_file: Path) -> None:
    run_file.write_text("", encoding="utf-8")
    assert read(run_file, ["model.name=m", "task.name=rte"]).task.name == "rte"


@pytest.mark.parametrize("override", ["epochs=1", "training.epochs", "=1", ".a=1", "training.=1"])
def test_an_override_of_another_form(run_file: Path, override: str) -> None:
    assert complaint(run_file, override) == (
        f"--set {override!r} is not section.key=value, as training.epochs=1 is"
    )


def test_what_has_no_default_has_to_be_given(run_file: Path) -> None:
    assert complaint(run_file, "model.name=").endswith(
        "model.name is missing; it says the model to fine-tune"
    )
    run_file.write_text("[model]\nname = 'm'\n", encoding="utf-8")
    assert complaint(run_file).endswith("task.name is missing; it says what is to be learnt")


def test_a_key_outside_a_section(run_file: Path) -> None:
    run_file.write_text('model = "m"\n', encoding="utf-8")
    assert complaint(run_file, "model.name=m").endswith("model = 'm' stands outside a section")


def test_not_toml(run_file: Path) -> None:
    run_file.write_text("[model\nname = 3\n", encoding="utf-8")
    assert complaint(run_file).startswith(f"{run_file} is not TOML: ")
    run_file.write_text(GOOD + GOOD, encoding="utf-8")
    assert complaint(run_file).startswith(f"{run_file} is not TOML: ")


def test_not_text(run_file: Path) -> None:
    run_file.write_bytes(b"\xff\xfe\x00")
    assert complaint(run_file).startswith(f"{run_file} cannot be read as a run file: ")


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert complaint(tmp_path / "gone.toml").startswith(f"no run file {tmp_path / 'gone.toml'};")
    assert complaint(tmp_path) == f"{tmp_path} is a folder; name a run file (.toml)"


def test_written_settings_read_back_the_same(tmp_path: Path) -> None:
    settings = from_values(
        {
            "model": {"name": 'a "quoted" \\ näme'},
            "task": {"name": "classification", "labels": ["ü", "'"]},
            "strategy": {"shares": [0.1, 3]},
            "training": {"learning_rate": 1e-05, "seed": 12},
        },
        "here",
    )
    path = tmp_path / "again.toml"
    path.write_text(to_toml(settings), encoding="utf-8")
    assert read(path) == settings
    assert read(path) != RunSettings()


def test_every_setting_is_documented() -> None:
    rows = list(described())
    assert len(rows) > 30
    for section, key, default, declared in rows:
        assert len(declared.doc) > 8, f"{section}.{key}"
        assert getattr(getattr(RunSettings(), section), key) == default
        given = set(default) if isinstance(default, list) else {default}
        assert not declared.choices or given <= set(declared.choices)


def test_the_documented_settings_are_those_there_are() -> None:
    page = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page.endswith(reference())
    assert "| `learning_rate` | `0.0005` | the peak of the schedule (above 0) |" in page


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.learning_rate=inf", "has to be a finite number"),
        ("training.warmup=1.5", "has to be at most 1"),
    ],
)
def test_values_that_no_run_can_have(tmp_path: Path, override: str, said: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text('[model]\nname = "m"\n[task]\nname = "mrpc"\n', encoding="utf-8")
    with pytest.raises(BadInput, match=said):
        read(path, [override])


def test_a_single_string_stands_for_a_list_of_one(run_file: Path) -> None:
    assert read(run_file, ["task.text=review"]).task.text == ["review"]
