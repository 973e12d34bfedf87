"""detray as a library: an audit, an evaluation or a diagnosis as Arrow tables, without Ray or an output folder.

::

    import detray

    detray.audit("annotations.json").findings.to_pandas()
    detray.evaluate("gt.json", detections)["class_metrics"]
    detray.diagnose(coco, "dets.json", train="train.json").diagnoses

These are the commands of the same names, run in this process in a temporary folder: the same figures and tables.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from detray.errors import DetrayError, UsageError
from detray.given import builtin, coco, is_columns, results

if TYPE_CHECKING:
    from detray.verbs.config import Config

Source: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | pa.Table"
"""Annotations: a file, a folder, or the dictionary that a COCO file holds, of which images, annotations and categories
may be columns (arrays, an Arrow table, a data frame); or annotations alone, as columns image_id, category_id and bbox
(``[n, 4]`` x, y, width, height in px), which may have id, area, iscrowd and category_name: their images are those that
have a box."""
Detections: TypeAlias = "str | os.PathLike[str] | Sequence[Mapping[str, Any]] | Mapping[str, Any] | pa.Table"
"""Detections: a file, a model, a list in the form of COCO results, or columns image_id, category_id, bbox (``[n, 4]``
x, y, width, height in px) and score as arrays, lists, an Arrow table or a data frame."""

ANNOTATIONS = ("annotations", "truth", "train")
"""Arguments that are a `Source`."""


class Tables(Mapping[str, pa.Table]):
    """The tables of a result, by name or as attributes; ``lines`` is what the command says in sentences."""

    def __init__(self, tables: Mapping[str, pa.Table], lines: Sequence[str]) -> None:
        self._tables = dict(tables)
        self.lines = list(lines)

    def __getitem__(self, name: str) -> pa.Table:
        return self._tables[name]

    def __getattr__(self, name: str) -> pa.Table:
        tables = self.__dict__.get("_tables", {})
        if name not in tables:
            raise AttributeError(f"there is no table {name}: {', '.join(tables)}")
        return tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        return f"Tables({', '.join(f'{name}: {rows.num_rows} rows' for name, rows in self.items())})"


def audit(
    annotations: Source,
    *,
    images: str | os.PathLike[str] | None = None,
    train: Source | None = None,
    label_map: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Tables:
    """Validate annotations: the tables findings, class_stats, image_stats and drawn_twice, and the canonical tables.

    Args:
        annotations: what is audited, as the split val.
        images: the folder of the pictures; without it none is opened.
        train: training annotations, as the split train.
        label_map: .pbtxt, .yaml, .txt or .json.
        settings: keys of the configuration by dotted name, ``{"audit.disable": ["tiny-box"]}``.

    Raises:
        DetrayError: a file cannot be read, or a setting is none.
    """
    options = {"images": images, "train": train, "label-map": label_map}
    return _run("audit", {"annotations": annotations}, options, settings)[1]


def evaluate(
    truth: Source,
    detections: Detections,
    *,
    against: Detections | None = None,
    images: str | os.PathLike[str] | None = None,
    label_map: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Tables:
    """Exact COCO metrics: the tables class_metrics, summary_metrics, matches, comparisons and what they are made from.

    Args:
        truth: annotations.
        detections: what a model found.
        against: what another model found, to compare with.
        images: the folder of the pictures, where ``detections`` is a model.
        label_map: of the detections.
        settings: keys of the configuration by dotted name, ``{"evaluate.bootstrap": 0}``.

    Raises:
        DetrayError: a file cannot be read, no detection can be placed, or a setting is none.
    """
    options = {"against": against, "images": images, "label-map": label_map}
    return _run("evaluate", {"truth": truth, "detections": detections}, options, settings)[1]


def diagnose(
    truth: Source,
    detections: Detections,
    *,
    train: Source | None = None,
    train_detections: Detections | None = None,
    images: str | os.PathLike[str] | None = None,
    label_map: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Tables:
    """Say why classes are weak: the tables diagnoses and label_errors, and those of `evaluate`.

    Args:
        truth: annotations.
        detections: what a model found.
        train: training annotations.
        train_detections: what it found in training pictures.
        images: the folder of the pictures.
        label_map: of the detections.
        settings: keys of the configuration by dotted name, ``{"diagnose.classes": ["cat"]}``.

    Raises:
        DetrayError: as `evaluate`.
    """
    options = {"train": train, "train-detections": train_detections, "images": images, "label-map": label_map}
    return _run("diagnose", {"truth": truth, "detections": detections}, options, settings)[1]


def ingested(
    annotations: Source, images: str | os.PathLike[str] | None = None, settings: Mapping[str, Any] | None = None
) -> tuple[Config, Tables]:
    """Read annotations: the configuration that follows from the arguments, and the canonical tables."""
    return _run("ingest", {"annotations": annotations}, {"images": images}, settings)


def _run(
    verb: str, files: Mapping[str, Any], options: Mapping[str, Any], settings: Mapping[str, Any] | None
) -> tuple[Config, Tables]:
    """Run a verb in a temporary folder; its tables, and those of the stages before it."""
    with tempfile.TemporaryDirectory(prefix="detray-") as place:
        folder = Path(place)
        try:
            arguments = [verb, *(_file(source, folder, name) for name, source in files.items())]
            for name, source in options.items():
                if source is not None:
                    arguments += [f"--{name}", _file(source, folder, name)]
            if not isinstance(settings, Mapping | None):
                raise UsageError('settings are a mapping of keys of the configuration, as {"evaluate.bootstrap": 0}')
            for key, value in (settings or {}).items():
                arguments += ["--set", f"{key}={_json(value, f'settings, {key}')}"]
            return _tables([*arguments, "--output", str(folder / "out")])
        except DetrayError as error:  # what was in memory has no place that would tell anything
            raise type(error)(str(error).replace(f"{folder}{os.sep}", "")) from None


def _tables(arguments: Sequence[str]) -> tuple[Config, Tables]:
    from detray.arguments import parser_for
    from detray.cli import load_config
    from detray.flow.executor import InProcess
    from detray.store import Store
    from detray.verbs import runner
    from detray.verbs.base import Context

    config = load_config(parser_for(arguments).parse_args(arguments))
    store = Store(config.output)
    results = runner.run(Context(config, store, InProcess()), [arguments[0]])
    tables: dict[str, pa.Table] = {}
    for result in results:
        for table in result.manifest["tables"]:
            rows = store.read(table, result.stage)
            tables[table] = pa.concat_tables([tables[table], rows]) if table in tables else rows
    return config, Tables(tables, [*results[-1].manifest["notes"], *results[-1].manifest["advice"]])


def _file(source: Any, folder: Path, name: str) -> str:
    """A path that the command takes; what is in memory is written to a file."""
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        return f".{os.sep}{path}" if path.startswith("-") else path  # and no option
    try:
        if name in ANNOTATIONS and (isinstance(source, Mapping) or is_columns(source)):
            source = coco(source)
        elif is_columns(source):
            source = results(source)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    if not isinstance(source, Mapping | list | tuple):
        raise UsageError(f"{name}: {type(source).__name__} is neither a path nor what a COCO file holds, nor columns")
    path = str(folder / f"{name}.json")
    Path(path).write_text(_json(source, name))
    return path


def _json(value: Any, name: str) -> str:
    try:
        return json.dumps(value, default=builtin)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{name}: holds what JSON cannot ({str(error).splitlines()[0]})") from None
