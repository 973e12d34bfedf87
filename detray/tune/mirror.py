"""A folder for checkpoints, which goes on where the trial does: on whatever machine, from whatever output."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from detray.flow.workspace import Workspace

NAMES = "files.json"
"""In the workspace: which files are copies of the folder's."""


@contextmanager
def mirrored(workspace: Workspace) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A local folder with what ``workspace`` holds, and what to call to copy there what has changed.

    Where the workspace is a folder that this machine has, it is that folder, and nothing is copied.
    """
    if (own := workspace.folder) is not None:
        own.mkdir(parents=True, exist_ok=True)
        yield own, lambda: None
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name in workspace.read_json(NAMES, list[str]) or ():
            if (content := workspace.read(name)) is not None:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
        yield folder, _Copies(folder, workspace).save


@dataclass
class _Copies:
    """The files of ``folder`` that were copied, each with when it had changed."""

    folder: Path
    workspace: Workspace
    _copied: dict[str, int] = field(default_factory=dict)

    def save(self) -> None:
        """Copy what has changed, and then say which files are there."""
        names = []
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            name = path.relative_to(self.folder).as_posix()
            with suppress(FileNotFoundError):  # a program that trains clears up meanwhile
                changed = path.stat().st_mtime_ns
                if self._copied.get(name) != changed:
                    self.workspace.write(name, path.read_bytes())
                    self._copied[name] = changed
                names.append(name)
        self.workspace.write_json(NAMES, names)
