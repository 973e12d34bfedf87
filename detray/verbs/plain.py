"""Configurations for commands that name files instead of a configuration."""

import argparse
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from detray import mirror
from detray.detectors.catalogue import recognise
from detray.errors import UsageError
from detray.formats.configured import dataset_of_pipeline
from detray.formats.discover.said import SeveralFit
from detray.formats.plain import dataset_from_files
from detray.formats.resolve import resolve, stated_path
from detray.formats.settings import DatasetSettings
from detray.mirror import here, here_beside
from detray.remote import is_uri
from detray.settings import read_yaml
from detray.store import Store, absolute
from detray.verbs.catalogue import STAGES
from detray.verbs.config import Config
from detray.verbs.inputs import other_detector, other_input

WITH_DETECTIONS = ("predict", "evaluate", "diagnose", "clean", "report", "run")
"""Verbs whose second file holds detections, or the model that makes them."""
DATA_ONLY = ("ingest", "audit", "split", "clean", "report")
"""Verbs that are about data: with plain files there is no detector to judge these by."""


def values_from_files(options: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    """Configuration values for plain files: annotations, then, where the verb reads them, detections or a model.

    Without files those that a stated pipeline.config names. ``tell`` is called with what was taken of a folder.

    Raises:
        UsageError: a file is missing, or there are more than the verb takes.
    """
    files = list(options.files)
    pipeline: str | None = options.pipeline
    values: dict[str, Any] = {"name": _name([*files, pipeline][0])}
    if options.verb in WITH_DETECTIONS:
        if len(files) > 2:
            raise UsageError(f"detray {options.verb} takes ground truth, and detections or a model: two paths")
        if len(files) == 2:
            values["detector"] = _detector(_there(files.pop()))
        elif options.verb in ("predict", "evaluate", "diagnose"):
            raise UsageError(
                f"detray {options.verb} needs ground truth, and detections or a model, or --config; without a model:"
                " detray run FOLDER trains one and does it all, and after detray train FOLDER --output OUT there is"
                f" detray {options.verb} --output OUT"
            )
    if options.verb in DATA_ONLY and not any(
        text.startswith(("detector.", "train.")) for text in getattr(options, "assignments", [])
    ):
        values["audit"] = {"detector": False}
    for option, section in (("against", "evaluate"), ("train_detections", "diagnose"), ("base_detections", "diagnose")):
        if getattr(options, option, None):
            values.setdefault(section, {})[option] = mirror.stated(_there(getattr(options, option)))
    if not files and pipeline:
        values["dataset"] = _stated(dataset_of_pipeline(_there(pipeline)))
        return values | {"output": _free_output(values, tell)}
    try:
        values["dataset"] = dataset_from_files(
            [_there(file) for file in files],
            train=_there(options.train) if options.train else None,
            images=_there(options.images) if options.images else None,
            format=options.format or "auto",
            label_map=_there(options.label_map) if options.label_map else None,
            pipeline=_there(pipeline) if pipeline else None,
            tell=tell,
        )
        values["dataset"] = _stated(values["dataset"])
    except SeveralFit as error:
        raise error.question(options.verb, options.files[1:]) from None
    except UsageError as error:
        if "detector" not in values:
            raise
        raise UsageError(f"{error}; the order is: ground truth, then detections or a model") from error
    splits = tuple(values["dataset"].splits)
    if "val" not in splits:
        values["predict"] = {"splits": ["test" if "test" in splits else splits[-1]]}
    return values | {"output": options.output or _free_output(values, tell)}


def _free_output(values: Mapping[str, Any], tell: Callable[[str], None]) -> str:
    """The folder of the results: ``out/NAME``, or one beside it where that holds the results of other files."""
    output = Path("out") / values["name"]
    dataset, detector = values["dataset"], values.get("detector", {}).get("path")
    store = Store(str(output))
    other = other_input(store, dataset) or (other_detector(store, detector) if detector else None)
    if other is None:
        return str(output)
    inputs = sorted({mirror.stated(path) for source in resolve(dataset) for path in source.annotations})
    number = hashlib.blake2b("\0".join([*inputs, absolute(detector or "")]).encode(), digest_size=3).hexdigest()
    own = f"{output}-{number}"
    tell(f"{output} holds the results of {other}; these go to {own}")
    return own


def with_own_splits(config: Config) -> Config:
    """``config`` with the splits that its pipeline.config reads, where it states a pipeline.config and no splits.

    Raises:
        UsageError: it reads none that are there.
    """
    dataset = config.dataset
    if dataset.pipeline is None or dataset.splits:
        return config
    file = stated_path(dataset.pipeline, dataset.root, "dataset.pipeline")
    found = dataset_of_pipeline(file, stated_path(dataset.root, ".", "dataset.root", folder=True))
    label_map = dataset.label_map or found.label_map
    return replace(config, dataset=replace(dataset, splits=found.splits, label_map=label_map))


def with_config(values: Mapping[str, Any], config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """``values`` of plain files, and beside them what a configuration file ``source`` says of all else.

    Raises:
        UsageError: the configuration too says which files are read.
    """
    merged = dict(values)
    if "detector" in config or "train" in config:
        merged.pop("audit", None)
    for section, stated in config.items():
        own = merged.get(section)
        if not isinstance(stated, Mapping) or not isinstance(own, Mapping):
            merged[section] = stated
            continue
        both = [key for key in ("splits", "kind", "path") if key in stated and key in own]
        if both:
            raise UsageError(f"{source}: {section}.{both[0]} and plain files both say what is read; leave one out")
        merged[section] = {**own, **stated}
    return merged


def _name(path: str) -> str:
    """Of a run, by what is read."""
    stem = Path(path).stem
    return (Path(path).resolve().stem if stem in ("", "..") else stem) or "detray"


def _detector(path: str) -> dict[str, str]:
    """The section ``detector`` for detections, or for a model that makes them."""
    found = recognise(path)
    path = mirror.stated(path)
    return {"kind": "predictions", "path": path} if found is None else {"kind": found[0].name, "path": found[1]}


def _stated(dataset: DatasetSettings) -> DatasetSettings:
    """The data set by the URIs that a person knows, where files on this machine stand for these."""
    if not mirror.known():
        return dataset
    return msgspec.json.decode(mirror.stated(msgspec.json.encode(dataset).decode()), type=DatasetSettings)


def _there(path: str) -> str:
    path = here_beside(path)
    if not Path(path).exists():
        raise UsageError(f"{path}: no such file or folder; check the path")
    return path


def values_from_output(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The configuration that an earlier run left in ``--output``, newest stage first, and its file.

    Raises:
        UsageError: there is none.
    """
    if options.output and is_uri(options.output):
        for stage in reversed(STAGES):
            with contextlib.suppress(UsageError):
                file = f"{options.output.rstrip('/')}/{stage}/config.yaml"
                return file, read_yaml(Path(here(file)))
    elif options.output:
        found = [path for stage in STAGES if (path := Path(options.output) / stage / "config.yaml").is_file()]
        if found:
            newest = max(found, key=lambda path: path.stat().st_mtime_ns)
            return str(newest), read_yaml(newest)
    raise UsageError(
        f"detray {options.verb}: name a configuration (--config FILE), plain files,"
        " or the folder of an earlier run (--output DIR)"
    )
