"""Where a model's files are: a folder, a .gguf file, an installed package, or the hub.

Everything else asks for a file by name, so that a rank fetches from the hub only the files that
hold its layers.
"""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from mpiedge.errors import BadInput

PACKAGE = "package:"
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


@dataclass(frozen=True)
class Source:
    """A model as the user named it, and the folder it lies in."""

    name: str
    folder: Path | None  # None: on the hub
    gguf: str | None = None  # the file in the folder, where the model is a single .gguf

    def file(self, name: str) -> Path | None:
        """The path of one of the model's files, fetched if need be; None if it has none such."""
        if self.folder is None:
            return _fetch(self.name, name)
        path = self.folder / name
        return path if path.is_file() else None

    def require(self, name: str) -> Path:
        """The path of a file without which the model cannot be used."""
        path = self.file(name)
        if path is None:
            raise BadInput(
                f"model.name: {self.name} has no {name}; name a folder that a model was saved in, "
                "with all of its files"
            )
        return path

    @property
    def place(self) -> str:
        """What transformers takes in its ``from_pretrained``."""
        return self.name if self.folder is None else str(self.folder)


def find_source(name: str) -> Source:
    """Where the model called ``name`` is; nothing is read yet."""
    path = _in_package(name) if name.startswith(PACKAGE) else Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return Source(name, path.parent, path.name)
    if name and path.is_dir():
        return Source(name, path)
    if not _HUB_ID.fullmatch(name) or path.suffix == ".gguf" or path.exists():
        raise BadInput(
            f"model.name: {name!r} is no folder, no .gguf file and no hub id; "
            "name a folder that holds config.json and the model's weights"
        )
    return Source(name, None)


def _in_package(name: str) -> Path:
    package, _, folder = name.removeprefix(PACKAGE).partition("/")
    module = package.replace("-", "_")
    # Only top-level names: looking for any other imports its parent.
    spec = find_spec(module) if module.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(
            f"model.name: {name}: no package {package} is installed; pip install {package}"
        )
    path = Path(spec.submodule_search_locations[0]) / folder
    if not path.exists():
        raise BadInput(f"model.name: {name}: the package {package} has no {folder}")
    return path


def _fetch(repository: str, name: str) -> Path | None:
    try:
        return Path(hf_hub_download(repository, name))
    except LocalEntryNotFoundError as error:
        raise BadInput(
            f"model.name: {repository} is no folder here, and the hub cannot be reached to fetch "
            f"{name}; check the name, or copy the model here and name its folder"
        ) from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BadInput(
            f"model.name: {repository} is no folder here, and the hub does not give its {name} "
            f"({reason}); check the name, or copy the model here and name its folder"
        ) from error
