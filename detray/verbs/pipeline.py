"""The pipeline.config that a configuration states, with what belongs to it, as the audit takes it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from detray.audit.pipeline import StatedPipeline
from detray.errors import DetrayError
from detray.formats.configured import INDEX, found_paths
from detray.formats.label_map import LabelMap, read_label_map
from detray.formats.resolve import resolve, stated_path
from detray.formats.tfrecord.reader import TFRecord
from detray.pipeline.checkpoint import Checkpoint, read_checkpoint
from detray.pipeline.paths import CHECKPOINT, LABEL_MAP, StatedPath
from detray.pipeline.read import PipelineFile, read_pipeline
from detray.verbs.config import Config

MAX_NAMED = 3


def read_stated(config: Config) -> PipelineFile | None:
    """The pipeline.config that is stated.

    Raises:
        UsageError: it is not there, or is none.
    """
    stated = config.dataset.pipeline
    return None if stated is None else read_pipeline(stated_path(stated, config.dataset.root, "dataset.pipeline"))


def pipeline_inputs(config: Config) -> Sequence[str]:
    """It and what the audit reads beside it: its label maps, and the index of its checkpoint."""
    file = read_stated(config)
    if file is None:
        return []
    read = [path.files[0] for path in _found(config, file) if path.place.endswith(LABEL_MAP) and path.files]
    index = [f"{path.files[0]}{INDEX}" for path in _found(config, file) if path.place == CHECKPOINT and path.files]
    return list(dict.fromkeys([file.path, *read, *(one for one in index if Path(one).is_file())]))


def _found(config: Config, file: PipelineFile) -> Sequence[StatedPath]:
    root = stated_path(config.dataset.root, ".", "dataset.root", folder=True)
    return found_paths(
        file, root, [stated_path(path, root, "dataset.also", folder=True) for path in config.dataset.also]
    )


def stated_pipeline(config: Config) -> StatedPipeline | None:
    """The stated one with its label maps, records and checkpoint; None where none is stated.

    Raises:
        UsageError: it is not there, or is none.
    """
    file = read_stated(config)
    if file is None:
        return None
    paths = _found(config, file)
    maps = {path.place: found for path in paths if (found := _label_map(path)) is not None}
    sources = resolve(config.dataset)
    return StatedPipeline(
        file,
        tuple(paths),
        next(iter(maps.values())).ids if maps else None,
        dict(_other_labels(config, maps)),
        {one.split: one.annotations for one in sources if one.format == TFRecord.name},
        _checkpoint(paths),
        config.evaluate.protocol,
    )


def states_checkpoint(config: Config) -> bool:
    """Whether it names a checkpoint that is there."""
    file = read_stated(config)
    return file is not None and any(path.place == CHECKPOINT and path.files for path in _found(config, file))


def _label_map(path: StatedPath) -> LabelMap | None:
    """The label map that a path leads to, if it is one."""
    if not path.place.endswith(LABEL_MAP) or not path.files:
        return None
    try:
        return read_label_map(path.files[0])
    except DetrayError:
        return None


def _other_labels(config: Config, maps: Mapping[str, LabelMap]) -> Iterator[tuple[str, str]]:
    """Label maps that differ from the first of them, and that from the one that the configuration states."""
    stated = config.dataset.label_map
    own = None if stated is None else read_label_map(stated_path(stated, config.dataset.root, "dataset.label_map"))
    first = own or next(iter(maps.values()), None)
    for place, found in maps.items():
        if first is None or found.ids == first.ids:
            continue
        names = [name for name in {**first.ids, **found.ids} if first.ids.get(name) != found.ids.get(name)]
        told = [
            f"{name} is {_or_none(found.ids.get(name))} there and {_or_none(first.ids.get(name))}" for name in names
        ]
        more = f", and {len(told) - MAX_NAMED} more" if len(told) > MAX_NAMED else ""
        yield place, f"{', '.join(told[:MAX_NAMED])} in {first.path}{more}"


def _or_none(number: int | None) -> str:
    return "nothing" if number is None else str(number)


def _checkpoint(paths: Sequence[StatedPath]) -> Checkpoint | None:
    """What the checkpoint holds that a path leads to."""
    return next((read_checkpoint(path.files[0]) for path in paths if path.place == CHECKPOINT and path.files), None)
