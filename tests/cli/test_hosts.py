"""``mpiedge hosts check``: a line a machine, the mend below it, and an exit code."""

import json
from pathlib import Path

import pytest

from mpiedge.__main__ import main
from mpiedge.cli.paths import named

RUN = '[model]\nname = "{model}"\n[task]\nname = "classification"\ndata = "{data}"\n'


@pytest.fixture
def hostfile(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text("localhost slots=2\n", encoding="utf-8")
    return path


def test_this_machine_is_ready(hostfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["hosts", "check", str(hostfile), "--json"])
    (found,) = json.loads(capsys.readouterr().out)
    assert found["name"] == "localhost"
    assert code == (1 if found["problems"] else 0)
    assert not [one for one in found["problems"] if "installed" in one]


def test_what_is_wrong_stands_below(
    hostfile: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRTE_MCA_plm_ssh_agent", "/no/such/ssh")
    monkeypatch.setattr("mpiedge.hosts.asking.is_here", lambda _: False)
    assert main(["hosts", "check", str(hostfile)]) == 1
    assert capsys.readouterr().out == (
        "localhost: does not answer\n"
        "  wrong: /no/such/ssh cannot be run: No such file or directory; try: ssh localhost true; "
        "it has to work without a password\n"
    )


def test_a_hostile_hostfile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hosts").write_text("-oProxyCommand=touch slots=1\n", encoding="utf-8")
    assert main(["hosts", "check", str(tmp_path / "hosts")]) == 2
    assert "is not a host's name" in capsys.readouterr().err


def test_the_places_of_model_and_data(tmp_path: Path) -> None:
    (tmp_path / "my-own-texts").mkdir()
    run = tmp_path / "run.toml"
    run.write_text(RUN.format(model="owner/name", data="my-own-texts"), encoding="utf-8")
    assert named(run) == (str(tmp_path / "my-own-texts"),)
