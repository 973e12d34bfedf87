"""Small data sets from terse descriptions, for the rules' cases, and the shipped flow on them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa

from detray import schema
from detray.audit import pictures as audit_pictures
from detray.audit.catalogue import RULES
from detray.audit.flow import AuditInputs, audit
from detray.audit.pictures import STATS, Measured
from detray.audit.pipeline import StatedPipeline
from detray.audit.settings import AuditSettings
from detray.audit.summary import StatedLabelMap, Summary
from detray.audit.tally import Tally
from detray.boxes import Reach
from detray.flow.data import MemoryData
from detray.flow.memory import InMemoryRun, run_in_memory
from detray.pipeline.checkpoint import Checkpoint
from detray.pipeline.paths import StatedPath
from detray.pipeline.read import parse_pipeline
from detray.tables import Shard

TABLES = ("findings", "class_stats", "image_stats", "drawn_twice")
WHOLE = {
    "is_decoded": True,
    "real_width": 100,
    "real_height": 80,
    "brightness": 120.0,
    "contrast": 50.0,
    "sharpness": 300.0,
}


@dataclass(frozen=True)
class Dataset:
    """Canonical tables, and the measured pictures (a row for each image; None: no image folder)."""

    images: pa.Table
    annotations: pa.Table
    categories: pa.Table
    stats: pa.Table | None

    def summary(self, tallies: Mapping[str, Tally]) -> Summary:
        """The data set in these counts."""
        return Summary(tallies, self.categories)

    def shards(self, cuts: int = 1, shuffle: int | None = None) -> tuple[list[Shard], list[pa.Table] | None]:
        """Each split cut into ``cuts`` ranges of images, rows shuffled with a seed, and the pictures' measures."""
        rng = None if shuffle is None else np.random.default_rng(shuffle)
        shards, stats = [], []
        names = sorted({*self.images["split"].to_pylist(), *self.annotations["split"].to_pylist()})
        for split in names:
            images = np.array([one == split for one in self.images["split"].to_pylist()])
            owner = np.array([one or 0 for one in self.images["image_id"].to_pylist()])
            own = np.array([one or 0 for one in self.annotations["image_id"].to_pylist()])
            here = np.array([one == split for one in self.annotations["split"].to_pylist()], bool)
            for part in np.array_split(np.unique(np.concatenate([owner[images], own[here]])), cuts):
                rows = _rows(images & np.isin(owner, part), rng)
                boxes = _rows(here & np.isin(own, part), rng)
                shards.append(
                    Shard(
                        split,
                        self.images.take(rows),
                        self.annotations.take(boxes),
                        self.categories.filter(
                            pa.array([one == split for one in self.categories["split"].to_pylist()])
                        ),
                    )
                )
                if self.stats is not None:
                    stats.append(self.stats.take(rows))
        return shards, stats if self.stats is not None else None

    def audited(
        self,
        *codes: str,
        cuts: int = 1,
        shuffle: int | None = None,
        thresholds: Mapping[str, Mapping[str, Any]] | None = None,
        quarantine: Sequence[dict[str, Any]] = (),
        **inputs: Any,
    ) -> pa.Table:
        """The findings of the rules ``codes``, by default of all, in the order of their ids.

        Args:
            cuts, shuffle: as `shards`.
            thresholds: by code.
            quarantine: rows that ingest set aside.
            inputs: of `AuditInputs`.
        """
        others = tuple(rule.code for rule in RULES if codes and rule.code not in codes)
        settings = AuditSettings(rules={code: dict(own) for code, own in (thresholds or {}).items()}, disable=others)
        aside = [{"stage": "ingest"} | row for row in quarantine]
        tables = {"quarantine": schema.from_rows("quarantine", aside, run="test")}
        shards, _ = self.shards(cuts, shuffle)
        run = self.run(shards, AuditInputs("test", settings, pictured=self.pictured, **inputs), tables)
        return run.tables["findings"].sort_by("finding_id").combine_chunks()

    @property
    def pictured(self) -> Collection[str]:
        """The splits with an image folder."""
        return set(self.images["split"].to_pylist()) if self.stats is not None else ()

    def run(self, shards: Sequence[Shard], inputs: AuditInputs, tables: Mapping[str, pa.Table]) -> InMemoryRun:
        """The shipped flow in memory, with the pictures as they are described."""
        data = MemoryData(shards, {"categories": self.categories, **tables})
        described = [] if self.stats is None else self.stats.to_pylist()
        paths = self.images["path"].to_pylist()
        measured = {path: Measured(**row) for path, row in zip(paths, described, strict=bool(described))}
        with patch.object(audit_pictures, "measure", measured.__getitem__):
            return run_in_memory(audit, data, inputs, tables=TABLES)


def label_map(names: Mapping[int, str], problems: Sequence[Sequence[Any]] = ()) -> StatedLabelMap:
    """A label map, and its problems."""
    return StatedLabelMap("map.pbtxt", names, tuple((line, text) for line, text in problems))


def pipeline(text: str, **stated: Any) -> StatedPipeline:
    """A pipeline.config and what else is known of it: ``paths`` as dictionaries, ``checkpoint`` as a list of the starts
    of variables' names or as what is wrong with it."""
    paths = tuple(
        StatedPath(**{key: tuple(value) if key == "files" else value for key, value in path.items()})
        for path in stated.pop("paths", ())
    )
    found = stated.pop("checkpoint", None)
    checkpoint = (
        Checkpoint(problem=found) if isinstance(found, str) else None if found is None else Checkpoint(frozenset(found))
    )
    return StatedPipeline(parse_pipeline(text, "pipeline.config"), paths, checkpoint=checkpoint, **stated)


def reach(width: int, height: int, anchors: Sequence[Sequence[float]] = ()) -> Reach:
    """What a detector sees."""
    return Reach(width, height, tuple((across, down) for across, down in anchors))


def _rows(mask: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    rows = np.flatnonzero(mask)
    return rng.permutation(rows) if rng is not None else rows


def dataset(
    *,
    boxes: Sequence[dict[str, Any]] = (),
    images: Sequence[dict[str, Any]] | int = 1,
    categories: dict[int, str | dict[str, Any]] | None = None,
    splits: Sequence[str] = ("val",),
    pictures: bool = False,
) -> Dataset:
    """A data set from what differs from the usual.

    Args:
        boxes: ``box`` (x, y, width, height), ``class`` (1), ``image`` (1), ``split`` (the first), and
            any column of annotations; ``repeat`` makes that many of it, ``scatter`` that many random
            boxes (see `_scattered`).
        images: as many images of 100 x 80 px (ids from 1), or dictionaries of columns, with
            ``stats`` for what was measured of the picture, and ``repeat``.
        categories: names by id, of every split; or of an id a dictionary of columns.
        pictures: whether an image folder is stated.
    """
    several = [{}] * images if isinstance(images, int) else _repeated(images)
    rows, measured = [], []
    for number, entry in enumerate(several):
        image = {"split": splits[0], "image_id": number + 1, "width": 100, "height": 80, "image_row": number}
        image |= {"source_file": "data.json", "path": f"picture {number}" if pictures else None}
        image |= {key: value for key, value in entry.items() if key != "stats"}
        rows.append({"file_name": f"{image['image_id']}.jpg"} | image)
        measured.append(WHOLE | {"perceptual_hash": _scrambled(number)} | entry.get("stats", {}))
    annotations = []
    for number, entry in enumerate(_repeated(boxes)):
        entry = dict(entry)
        x, y, width, height = entry.pop("box", (10.0, 10.0, 20.0, 30.0))
        row = {"split": splits[0], "annotation_id": number + 1, "annotation_row": number, "source_file": "data.json"}
        row |= {"image_id": entry.pop("image", 1), "category_id": entry.pop("class", 1)}
        row |= {"x": x, "y": y, "width": width, "height": height, "is_crowd": False, "is_difficult": False}
        row["area"] = None if width is None or height is None else width * height
        annotations.append(row | entry)
    names = {1: "cell"} if categories is None else categories
    listed = [
        {"split": split, "category_id": key, "source": "annotations"}
        | (name if isinstance(name, dict) else {"category_name": name})
        for split in splits
        for key, name in names.items()
    ]
    return Dataset(
        schema.from_rows("images", rows, run="test"),
        schema.from_rows("annotations", annotations, run="test"),
        schema.from_rows("categories", listed, run="test"),
        pa.Table.from_pylist(measured, STATS) if pictures else None,
    )


def _repeated(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for entry in entries:
        if "scatter" in entry:
            rows += _scattered(**entry)
        else:
            rows += [{key: value for key, value in entry.items() if key != "repeat"}] * entry.get("repeat", 1)
    return rows


def _scattered(
    scatter: int,
    *,
    seed: int = 0,
    over: Sequence[int] = (1, 1),
    size: Sequence[float] = (100, 80),
    side: float = 12,
    sigma: float = 0.5,
    power: float | None = None,
    times: float = 1,
    format: str = "sides",
    step: float | None = None,
    canvas: Sequence[float] | None = None,
    padded: float | None = None,
    **columns: Any,
) -> list[dict[str, Any]]:
    """Random boxes within their image: log-normal sides, corners all over it.

    Args:
        scatter: how many.
        over: first and last image; boxes go round them.
        size: width and height of the images.
        side, sigma: median and log-spread of the sides.
        power: exponent of a Pareto distribution of squares, of which ``side`` is the smallest, in place of these.
        times: factor that the coordinates are then multiplied by.
        format: how they are then written: sides, corners, centre, swapped (y, x, h, w), shares or share corners.
        step: grid that they are rounded to.
        canvas: width and height that the images are stretched to before the boxes are drawn.
        padded: side of the square that the images are fitted into before the boxes are drawn.
        columns: of every box.
    """
    rng = np.random.default_rng(seed)
    if power is None:
        width, height = (np.minimum(side * np.exp(sigma * rng.standard_normal(scatter)), full) for full in size)
    else:
        width = height = np.minimum(side * (1 + rng.pareto(power, scatter)), min(size))
    x, y = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
    boxes = np.stack([x, y, width, height], axis=1)
    if step is not None:
        boxes = np.maximum(np.round(boxes / step), [0, 0, 1, 1]) * step
    boxes *= times
    if canvas is not None:
        boxes *= np.tile(np.divide(canvas, size), 2)
    if padded is not None:
        scale = padded / max(size)
        boxes *= scale
        boxes[:, :2] += (padded - scale * np.array(size)) / 2
    if format == "corners":
        boxes[:, 2:] += boxes[:, :2]
    elif format == "centre":
        boxes[:, :2] += boxes[:, 2:] / 2
    elif format == "swapped":
        boxes = boxes[:, [1, 0, 3, 2]]
    elif format == "shares":
        boxes /= np.tile(size, 2)
    elif format == "share corners":
        boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1) / np.tile(size, 2)
    else:
        assert format == "sides"
    images = over[0] + np.arange(scatter) % (over[1] - over[0] + 1)
    return [{"box": box, "image": image, **columns} for box, image in zip(boxes.tolist(), images.tolist(), strict=True)]


def _scrambled(number: int) -> int:
    """Hashes far apart from each other."""
    return int(np.random.default_rng(number).integers(-(2**63), 2**63))
