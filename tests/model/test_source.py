"""A model's name leads to its files, or to a sentence that says what to do."""

from pathlib import Path

import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from mpiedge.errors import BadInput
from mpiedge.model import source
from mpiedge.model.source import find_source


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    found = find_source(str(tmp_path))
    assert found.file("config.json") == tmp_path / "config.json"
    assert found.file("model.safetensors") is None
    assert found.place == str(tmp_path)


def test_a_single_file(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").touch()
    found = find_source(str(tmp_path / "m.gguf"))
    assert (found.folder, found.gguf) == (tmp_path, "m.gguf")


def test_a_folder_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a_model" / "files"
    folder.mkdir(parents=True)
    (tmp_path / "a_model" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_source("package:a_model/files").folder == folder
    assert find_source("package:a-model/files").folder == folder
    with pytest.raises(BadInput, match="the package a_model has no other"):
        find_source("package:a_model/other")


@pytest.mark.parametrize("name", ["package:not_there/model", "package:", "package:a.b/c"])
def test_a_package_that_is_not_installed(name: str) -> None:
    with pytest.raises(BadInput, match="no package .* is installed; pip install"):
        find_source(name)


@pytest.mark.parametrize("name", ["", "/no/such/folder", "./nowhere", "a/b/c", "no/model.gguf"])
def test_what_can_be_no_model(name: str) -> None:
    with pytest.raises(BadInput, match="is no folder, no .gguf file and no hub id"):
        find_source(name)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(BadInput, match="is no folder"):
        find_source(str(tmp_path / "model.safetensors"))


def test_the_hub_gives_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(repository: str, name: str) -> str:
        asked.append((repository, name))
        return str(tmp_path / name)

    monkeypatch.setattr(source, "hf_hub_download", fetch)
    found = find_source("someone/some-model")
    assert found.place == "someone/some-model"
    assert found.require("config.json") == tmp_path / "config.json"
    assert asked == [("someone/some-model", "config.json")]


def test_the_hub_has_no_such_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(repository: str, name: str) -> str:
        raise EntryNotFoundError(f"no {name} in {repository}")

    monkeypatch.setattr(source, "hf_hub_download", fetch)
    assert find_source("someone/some-model").file("pytorch_model.bin") is None
    with pytest.raises(BadInput, match="someone/some-model has no config.json"):
        find_source("someone/some-model").require("config.json")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (LocalEntryNotFoundError("offline"), "the hub cannot be reached to fetch config.json"),
        (OSError("no disk\nat all"), r"does not give its config.json \(no disk\)"),
    ],
)
def test_the_hub_gives_nothing(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fetch(repository: str, name: str) -> str:
        raise error

    monkeypatch.setattr(source, "hf_hub_download", fetch)
    with pytest.raises(BadInput, match=f"someone/some-model is no folder here, and .*{words}"):
        find_source("someone/some-model").file("config.json")
