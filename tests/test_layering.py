"""The order in which packages build on one another, and that no module goes against it."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mpiedge

ROOT = Path(mpiedge.__file__).parent

# Who imports whom: all there is, and nothing else is allowed.  Read it from the top down.
ORDER = {
    "__main__": {"cli", "launch", "errors", "trace"},
    "__init__": {"model", "api", "version"},  # what a Python program uses of it
    "api": {"run", "config", "comm"},
    "cli": {
        "version",
        "trace",
        "doctor",
        "hosts",
        "launch",
        "run",
        "pipeline",
        "comm",
        "config",
        "settings",
        "plan",
        "report",
        "store",
        "strategy",
        "testbed",
    },
    "report": {"config", "plan", "strategy"},
    "testbed": {"launch", "config", "settings", "cgroup"},
    "doctor": {"version", "comm", "launch", "cgroup"},
    "hosts": {"launch", "version"},
    "launch": set[str](),
    "run": {
        "version",
        "cgroup",
        "config",
        "settings",
        "pipeline",
        "strategy",
        "plan",
        "comm",
        "model",
        "store",
        "task",
    },
    "config": {"pipeline", "store", "strategy", "comm", "model", "task", "settings"},
    "pipeline": {"comm", "model", "store", "task", "plan", "settings"},
    "strategy": {"plan", "settings"},
    "plan": set[str](),
    "store": {"settings"},
    "comm": {"settings", "trace"},
    "model": {"settings"},
    "task": {"settings"},
    "settings": set[str](),
    "version": set[str](),
    "cgroup": set[str](),
    "errors": set[str](),  # which everybody may raise
    "trace": set[str](),
}

# What the packages that only reckon may use beside Python itself.
PURE = {
    "plan": {"numpy", "scipy"},
    "strategy": {"numpy", "scipy"},
    "launch": {"psutil"},
    "cgroup": {"psutil"},
    "testbed": {"psutil"},
}

VAGUE = {"util", "utils", "common", "helper", "helpers", "manager", "handler", "base", "misc"}


def _name(path: Path) -> str:
    """``comm.wire`` for ``mpiedge/comm/wire.py``, and ``comm.__init__`` for a package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def _imported(path: Path) -> Iterator[str]:
    """The full names that a module imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _ours(path: Path) -> set[str]:
    """The modules of mpiedge that a module imports."""
    found = set()
    for full in _imported(path):
        package, _, name = full.partition(".")
        if package == "mpiedge":
            module = name.rpartition(".")[0]
            places = (name, f"{name}.__init__", module, f"{module}.__init__", "__init__")
            found.add(next(place for place in places if place in MODULES))
    return found


GRAPH = {name: _ours(path) for name, path in MODULES.items()}


def _package(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("package", ORDER)
def test_a_package_imports_what_the_table_says(package: str) -> None:
    mine = {name for name in GRAPH if _package(name) == package}
    found = {_package(other) for name in mine for other in GRAPH[name]}
    assert found - {package, "errors"} == ORDER[package] - {"errors"}


def test_the_table_is_an_order_of_all_packages() -> None:
    assert list(TopologicalSorter(ORDER).static_order())
    assert set(ORDER) == {_package(name) for name in MODULES}


def test_no_module_imports_itself_in_a_circle() -> None:
    assert len(list(TopologicalSorter(GRAPH).static_order())) == len(MODULES)


def test_reading_a_run_file_needs_only_the_settings_of_each_package() -> None:
    beyond = {n for n in GRAPH["config"] if n.partition(".")[2] not in ("", "settings")}
    assert beyond == set()
    sections = [name for name in GRAPH if name.endswith(".settings") and _package(name) != "cli"]
    assert len(sections) == 6
    assert all(GRAPH[name] == {"settings"} for name in sections)


@pytest.mark.parametrize("package", PURE)
def test_what_only_reckons_needs_nothing_heavy(package: str) -> None:
    mine = [path for name, path in MODULES.items() if _package(name) == package]
    outside = {full.partition(".")[0] for path in mine for full in _imported(path)}
    assert outside - sys.stdlib_module_names - {"mpiedge"} <= PURE[package]


def test_no_name_says_nothing() -> None:
    words = {word for name in MODULES for part in name.split(".") for word in part.split("_")}
    assert words & VAGUE == set()
    assert {"wire", "engine", "schedule"} <= words


def test_an_import_is_seen_wherever_it_stands(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("import a.b\ndef f():\n    from mpiedge.comm.wire import decode\n")
    assert list(_imported(module)) == ["a.b", "mpiedge.comm.wire.decode"]
    assert _ours(module) == {"comm.wire"}
