"""``detray init``: a configuration for a data set, each key with what it means."""

import os
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import yaml

from detray.formats.settings import DatasetSettings, SplitSettings
from detray.keys import Key, keys
from detray.verbs.config import Config

WIDTH = 110


def configuration(values: Mapping[str, Any], command: str) -> str:
    """The text of a configuration file that runs as it is.

    The data set and the keys that are flags of the command line are stated, all others stand as comments with their
    defaults.

    Args:
        values: of plain files, as `detray.verbs.plain.values_from_files` makes them.
        command: what the file is run by.
    """
    dataset: DatasetSettings = values["dataset"]
    lines = [
        _comment(f"# {values['name']}: {_recognised(dataset)}."),
        _comment(f"#   {command}"),
        "# A line #key: value holds the default; take the # away to change it.",
    ]
    section, opened = "", ""
    stated = _flat(_below_root(dataset), "dataset.") | {key: values[key] for key in ("name", "output")}
    stated |= _flat(values.get("predict", {}), "predict.")
    known = list(keys(Config))
    paths = {key.path for key in known}
    for key in known:
        if any(key.path.startswith(f"{path}.") for path in paths):  # parts of a value that stands as a whole
            continue
        parents = key.path.split(".")[:-1]
        first = parents[0] if parents else ""
        if first != section:
            lines += ["", f"{first}:"]
            section = first
        is_live = key.path in stated or key.flag is not None
        margin = "  " if first else ""
        for inner in parents[1:]:  # no section has more than one mapping within another
            lines += [f"{margin}#{inner}:"] if inner != opened else []
        opened = parents[-1] if len(parents) > 1 else ""
        lines += _entry(key, stated.get(key.path, key.default), is_live, margin + ("#  " if opened else ""))
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """``text`` in one line, so that no name of a folder becomes a key."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _recognised(dataset: DatasetSettings) -> str:
    formats = ", ".join(dict.fromkeys(split.format for split in dataset.splits.values()))
    return f"{formats} with the splits {', '.join(dataset.splits)}, in {dataset.root}"


def _below_root(dataset: DatasetSettings) -> dict[str, Any]:
    """The section with paths below its root as the configuration states them, and nothing that is a default."""

    def below(path: str | None) -> str | None:
        return os.path.relpath(path, dataset.root) if path and path.startswith(f"{dataset.root}/") else path

    def split(one: SplitSettings) -> dict[str, Any]:
        stated = one.annotations if isinstance(one.annotations, str) else list(map(below, one.annotations))
        found = {
            "format": one.format,
            "annotations": (below(stated) if isinstance(stated, str) else stated) or ".",
            "images": below(one.images),
            "list": below(one.list),
        }
        return {name: value for name, value in found.items() if value is not None}

    found = {
        "root": dataset.root,
        "label_map": below(dataset.label_map),
        "pipeline": below(dataset.pipeline),
        "splits": {name: split(one) for name, one in dataset.splits.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in values.items()}


def _entry(key: Key, value: object, is_live: bool, margin: str) -> Iterator[str]:
    """The lines of a key: its value, and what it means behind it or above."""
    margin += "" if is_live or "#" in margin else "#"
    lines = _value(key.path.rpartition(".")[2], value)
    values = f" ({key.values})" if key.values != "text" else ""
    meaning = f"{key.meaning}{values}"
    if len(lines) == 1 and len(margin) + len(lines[0]) + len(meaning) + 4 <= WIDTH:
        yield f"{margin}{lines[0]}  # {meaning}"
        return
    outer = margin.partition("#")[0]
    for line in textwrap.wrap(meaning, WIDTH - len(outer), break_long_words=False, break_on_hyphens=False):
        yield f"{outer}# {line}"
    yield from (f"{margin}{line}" for line in lines)


def _value(name: str, value: object) -> list[str]:
    """YAML of a key, what a mapping of mappings holds with a line each."""
    plain = msgspec.to_builtins(value)
    if isinstance(plain, dict) and any(isinstance(one, dict) for one in plain.values()):
        return [f"{name}:", *(f"  {_line({one: inner})[1:-1]}" for one, inner in plain.items())]
    return [_line({name: plain})[1:-1]]


def _line(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1 << 20, sort_keys=False, allow_unicode=True).strip()
