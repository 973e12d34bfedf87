"""A picture that is not where its image entry says: which file of the folder may be meant."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PureWindowsPath

from detray.files import PICTURE_SUFFIXES

NOT_NAMED = "no file of that name, but one"


@dataclass(frozen=True)
class Nearby:
    """Looks through folders on this machine, each of which is listed once."""

    folders: dict[Path, tuple[dict[str, str], dict[str, str]]] = field(default_factory=dict)

    def find(self, path: str, file_name: str | None, source_file: str | None) -> str | None:
        """How a file that may be meant differs from what is named, and its name: ``KIND: NAME``; None without one.

        Args:
            path: where the picture should be.
            file_name: as the entry names it.
            source_file: the annotation file.
        """
        if "://" in path:
            return None
        last = PureWindowsPath(file_name or path).name  # either slash parts
        own = PurePath(source_file or "")
        stems = {"of another suffix": (last, PurePath(last).stem)}
        if own.suffix.lower() == ".xml":
            stems["called as its XML file is"] = (own.name, own.stem)
        for folder in Path(path).parents[: len(PureWindowsPath(file_name or "").parts) or 1]:
            names, of_stem = self._listed(folder)
            here = names.get(last.casefold())
            if here is not None:
                return f"{NOT_NAMED} {'under the last part of its path' if here == last else 'in another case'}: {here}"
            for kind, known in stems.items():
                found = next((of_stem[one.casefold()] for one in known if one.casefold() in of_stem), None)
                if found is not None:
                    return f"{NOT_NAMED} {kind}: {found}"
        return None

    def _listed(self, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
        """The names in a folder without case, and the pictures among them by stem."""
        if folder not in self.folders:
            try:
                names: Sequence[str] = sorted(entry.name for entry in folder.iterdir())
            except OSError:
                names = ()
            pictures = (name for name in names if PurePath(name).suffix.lower() in PICTURE_SUFFIXES)
            by_stem = {PurePath(name).stem.casefold(): name for name in pictures}
            self.folders[folder] = {name.casefold(): name for name in names}, by_stem
        return self.folders[folder]
