"""A parcel reaches machines, and what is there already is not lost."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from mpiedge.__main__ import main
from mpiedge.errors import BadInput
from mpiedge.hosts.arrival import ASIDE
from mpiedge.hosts.parcel import INSTALL, Parcel, pack
from mpiedge.hosts.sending import Sent, send
from mpiedge.launch.hostfile import Host

FAR = (Host("far", 1),)
TREE = {"pyproject.toml": 'name = "mpiedge"\n', "mpiedge/a.py": "a = 1\n", "mpiedge/b.py": "b\n"}


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpiedge.hosts.sending.is_here", lambda name: name == "localhost")


@pytest.fixture
def agent(tmp_path: Path) -> tuple[str, ...]:
    """A program in place of ssh: it runs the command here."""
    program = tmp_path / "agent"
    program.write_text('#!/bin/sh\nexec sh -c "$2"\n', encoding="utf-8")
    program.chmod(0o755)
    return (str(program),)


def parcel(tree: Mapping[str, str], root: Path, *command: str, **files: str) -> Parcel:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        places = [f"file/{number}" for number in range(len(files))]
        texts = [*tree.values(), *files.values()]
        for name, text in zip([*(f"tree/{n}" for n in tree), *places], texts, strict=True):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o755 if "install" in name else 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    return Parcel(buffer.getvalue(), str(root), tuple(files), command or ("true",))


def sent(agent: tuple[str, ...], given: Parcel, **more: float) -> Sent:
    told: list[Sent] = []
    (found,) = send(FAR, agent, given, told.append, **more)
    assert told == [found]
    return found


def test_to_a_machine_that_has_nothing(agent: tuple[str, ...], tmp_path: Path) -> None:
    root, run = tmp_path / "home" / "it's; mpiedge", tmp_path / "runs" / "run.toml"
    tree = {**TREE, "launch/install": "#!/bin/sh\necho done > installed\n"}
    given = parcel(tree, root, INSTALL, **{str(run): "[model]\n"})
    assert sent(agent, given) == Sent("far", changed=4)
    assert (root / "mpiedge" / "a.py").read_text() == "a = 1\n"
    assert (root / "installed").exists()
    assert run.read_text() == "[model]\n"
    again = sent(agent, given)
    assert str(again) == "far: nothing was new, installed"


def test_what_others_wrote_is_put_aside(agent: tuple[str, ...], tmp_path: Path) -> None:
    root = tmp_path / "mpiedge"
    sent(agent, parcel(TREE, root))
    (root / "mpiedge" / "a.py").write_text("mine\n")
    (root / "notes.txt").write_text("mine, too\n")
    newer = {**TREE, "mpiedge/a.py": "a = 2\n", "mpiedge/b.py": "b = 2\n"}
    found = sent(agent, parcel(newer, root))
    assert (found.changed, found.aside) == (2, ("mpiedge/a.py",))
    assert str(found).endswith("; of your own changes there, kept in .replaced: mpiedge/a.py")
    assert (root / "mpiedge" / "a.py").read_text() == "a = 2\n"
    assert (root / ASIDE / "mpiedge" / "a.py").read_text() == "mine\n"
    assert (root / "notes.txt").read_text() == "mine, too\n"
    assert not (root / ASIDE / "mpiedge" / "b.py").exists()


def test_what_is_not_sent_any_more_goes(agent: tuple[str, ...], tmp_path: Path) -> None:
    root = tmp_path / "mpiedge"
    sent(agent, parcel(TREE, root))
    (root / "mpiedge" / "b.py").write_text("mine\n")
    sent(agent, parcel({"pyproject.toml": TREE["pyproject.toml"]}, root))
    assert not list((root / "mpiedge").glob("*.py"))
    assert (root / ASIDE / "mpiedge" / "b.py").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("there", "said"),
    [("project.py", "is not mpiedge"), ("pyproject.toml", "is another project")],
)
def test_another_folder_is_left_alone(
    there: str, said: str, agent: tuple[str, ...], tmp_path: Path
) -> None:
    root = tmp_path / "mpiedge"
    root.mkdir()
    (root / there).write_text('name = "other"\n')
    assert sent(agent, parcel(TREE, root)).trouble == f"{root} is there, and {said}: move it away"
    assert [path.name for path in root.iterdir()] == [there]


def test_nothing_is_written_outside(agent: tuple[str, ...], tmp_path: Path) -> None:
    given = parcel({"../outside": "x"}, tmp_path / "mpiedge")
    assert sent(agent, given).trouble == "../outside leads out of its folder"
    assert not (tmp_path / "outside").exists()


def test_what_failed_there_is_said(agent: tuple[str, ...], tmp_path: Path) -> None:
    words = ("sh", "-c", "echo one; echo error: no room; echo last; exit 3")
    found = sent(agent, parcel(TREE, tmp_path / "mpiedge", *words))
    assert found.trouble.endswith("failed there: error: no room")
    assert str(found).startswith("far: wrong: sh -c ")
    found = sent(agent, parcel(TREE, tmp_path / "mpiedge", "/no/such/program"))
    assert "No such file or directory" in found.trouble


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo Permission denied >&2; exit 255", "it answered: Permission denied; try: ssh far"),
        ("echo '[1]'", "it answered: [1]"),
        ("exec sleep 30", "not done within 0 s"),
    ],
)
def test_what_is_no_answer(text: str, said: str, agent: tuple[str, ...], tmp_path: Path) -> None:
    Path(agent[0]).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    assert sent(agent, parcel({}, tmp_path), patience=0.5).trouble.startswith(said)


def test_this_machine_is_left_alone(tmp_path: Path) -> None:
    (found,) = send([Host("localhost", 1)], ("/no/such/ssh",), parcel(TREE, tmp_path), print)
    assert str(found) == "localhost: this machine"
    assert list(tmp_path.iterdir()) == []


def test_a_clone_is_sent_without_what_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[model]\n")
    given = pack([tmp_path / "run.toml"])
    with tarfile.open(fileobj=io.BytesIO(given.content)) as tar:
        names = tar.getnames()
    assert {"tree/pyproject.toml", "tree/mpiedge/hosts/parcel.py", "file/0"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or "/bench" in name]
    assert given.command == ("./launch/install",)
    with pytest.raises(BadInput, match="there is no file"):
        pack([tmp_path / "none.toml"])


def test_the_command(
    agent: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("localhost slots=1\nfar slots=1\n", encoding="utf-8")
    root = tmp_path / "mpiedge"
    monkeypatch.setattr("mpiedge.hosts.parcel.pack", lambda files: parcel(TREE, root))
    monkeypatch.setenv("PRTE_MCA_plm_ssh_agent", agent[0])
    assert main(["hosts", "sync", str(hosts), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith(f"to localhost, far: {root} (")
    assert not root.exists()
    assert main(["hosts", "sync", str(hosts), "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["here"], second["changed"]) == (True, 3)
    (root / "pyproject.toml").unlink()
    assert main(["hosts", "sync", str(hosts)]) == 1
    assert f"far: wrong: {root} is there, and is not mpiedge" in capsys.readouterr().out
