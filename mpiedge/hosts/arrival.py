"""What a machine does with a parcel: a program that needs nothing there but a Python.

It is sent over ssh as text; the parcel, a tar, comes on the standard input.  Files of ``tree/`` go
to the folder that is named, the others to their own places.  What somebody else wrote there is put
aside, into ``.replaced``; what an earlier parcel brought and this one does not is taken away.
Prints one line of JSON.
"""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

STAMP, ASIDE = ".synced", ".replaced"
_MARK = 'name = "mpiedge"'
_EXECUTABLE = 0o111


def digest(content: bytes) -> str:
    """By which content is told from other content."""
    return hashlib.sha256(content).hexdigest()


def place(content: bytes, path: Path, executable: bool) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name("." + path.name + ".partial")
    beside.write_bytes(content)
    beside.chmod(0o755 if executable else 0o644)
    os.replace(str(beside), str(path))


def aside(root: Path, name: str, known: "dict[str, str]") -> bool:
    """Put a file away that no parcel brought; whether there was one."""
    path = root / name
    if not path.is_file() or digest(path.read_bytes()) == known.get(name):
        return False
    kept = root / ASIDE / name
    kept.parent.mkdir(parents=True, exist_ok=True)
    os.replace(str(path), str(kept))
    return True


def unpack(root: Path, files: "list[str]") -> "dict[str, object]":
    """Put all that comes in its place."""
    stamp = root / STAMP
    known = json.loads(stamp.read_text()) if stamp.is_file() else {}
    now, kept, changed = {}, [], 0
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as parcel:
        for member in parcel:
            source = parcel.extractfile(member)
            if source is None:
                continue
            content, executable = source.read(), bool(member.mode & _EXECUTABLE)
            kind, _, name = member.name.partition("/")
            if kind == "file":
                place(content, Path(files[int(name)]), executable)
                continue
            if name.startswith("/") or ".." in name.split("/"):
                raise ValueError(name + " leads out of its folder")
            now[name] = digest(content)
            path = root / name
            if path.is_file() and digest(path.read_bytes()) == now[name]:
                continue
            if aside(root, name, known):
                kept.append(name)
            place(content, path, executable)
            changed += 1
    for name in set(known) - set(now):
        if not aside(root, name, known) and (root / name).is_file():
            (root / name).unlink()
    if now:
        place(json.dumps(now).encode(), stamp, False)
    return {"changed": changed, "aside": kept}


def main(plan: "dict[str, object]") -> "dict[str, object]":
    """Unpack, then install."""
    root, told = Path(str(plan["root"])), {}
    project = root / "pyproject.toml"
    if root.exists() and any(root.iterdir()) and not project.is_file():
        return {"trouble": str(root) + " is there, and is not mpiedge: move it away"}
    if project.is_file() and _MARK not in project.read_text(encoding="utf-8"):
        return {"trouble": str(root) + " is there, and is another project: move it away"}
    told = unpack(root, list(plan["files"]))  # type: ignore[call-overload]
    command = [str(word) for word in plan["command"]]  # type: ignore[attr-defined]
    done = subprocess.run(
        command,
        cwd=str(root) if root.is_dir() else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.returncode:
        errors = [line for line in lines if line.lower().startswith("error")]
        said = (errors or lines[-1:] or ["it said nothing"])[0][:200]
        return {"trouble": " ".join(command) + " failed there: " + said}
    return told


if __name__ == "__main__":
    try:
        print(json.dumps(main(json.loads(sys.argv[1]))))
    except (OSError, ValueError, tarfile.TarError) as error:
        print(json.dumps({"trouble": str(error)}))
