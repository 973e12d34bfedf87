"""What a program is given of the data set: lists of pictures and boxes as files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.arrays import Ints
from detray.clean.coco import SEPARATOR, annotation_objects, category_objects, fragments, image_objects
from detray.detectors.settings import TrainSettings
from detray.detectors.training.history import TRAIN, VAL
from detray.detectors.training.sampling import epoch_order, image_factors
from detray.files import RECORD
from detray.flow.data import Data
from detray.formats.tfrecord.records import framed, map_file, records, spans
from detray.tables import numpy
from detray.tune.proof_stage import PROOF, Part

IMAGES = ("split", "image_id", "file_name", "path", "width", "height", "image_row", "source_file", "attributes")


@dataclass(frozen=True)
class Labelled:
    """The classes of some pictures' boxes, by position in the sorted classes: what sampling looks at."""

    labels: Ints
    offsets: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True)
class Listed:
    """The data set's parts that a tuning learns from and judges on; ``classes``: category_id to name."""

    data: Data
    parts: Mapping[str, Part]
    classes: Mapping[int, str]

    def images(self, part: str) -> pa.Table:
        """The pictures of a part, the first row of each id, in the order of ids."""
        keys, wanted = self.parts[part]
        found = [self.data.read_range("images", key, IMAGES) for key in keys]
        rows = pa.concat_tables(found or [schema.empty("images").select(IMAGES)])
        rows = rows.filter(rows["image_id"].is_valid())
        if wanted is not None:
            rows = rows.filter(pc.is_in(rows["image_id"], value_set=pa.array(wanted)))
        _, first = np.unique(numpy(rows, "image_id"), return_index=True)
        return rows.take(pa.array(first, pa.int64()))

    def annotations(self, part: str) -> pa.Table:
        """The boxes of a part that have a picture and a class."""
        keys, wanted = self.parts[part]
        found = [self.data.read_range("annotations", key) for key in keys]
        rows = pa.concat_tables(found or [schema.empty("annotations")])
        known = pc.is_in(rows["category_id"], value_set=pa.array(list(self.classes), pa.int64()))
        rows = rows.filter(pc.and_(known, rows["image_id"].is_valid()))
        return rows if wanted is None else rows.filter(pc.is_in(rows["image_id"], value_set=pa.array(wanted)))

    def shift(self) -> int:
        """What the ids of the proof's pictures are moved by among those to detect on, as they may be those of val."""
        if self.parts[PROOF][1] is not None:
            return 0  # a part of val
        ids = numpy(self.images(VAL), "image_id")
        return int(ids.max(initial=0)) + 1 - min(int(numpy(self.images(PROOF), "image_id").min(initial=0)), 0)

    def write_split(self, part: str, path: Path) -> None:
        """A part as COCO JSON, with the pictures' places as names."""
        self._write(path, self.images(part), self.annotations(part))

    def detected(self, *, with_proof: bool) -> pa.Table:
        """The pictures to detect on: val's, and then those of the proof."""
        images = [self.images(VAL)]
        if with_proof and PROOF in self.parts:
            images.append(_moved(self.images(PROOF), self.shift()))
        return pa.concat_tables(images)

    def write_pictures(self, path: Path, *, with_proof: bool) -> None:
        """The same as COCO JSON without annotations."""
        self._write(path, self.detected(with_proof=with_proof), schema.empty("annotations"))

    def _write(self, path: Path, images: pa.Table, annotations: pa.Table) -> None:
        lists = {
            "images": fragments(_located(images), image_objects),
            "annotations": fragments(annotations, annotation_objects),
            "categories": fragments(_classes(self.classes), category_objects),
        }
        with path.open("wb") as stream:
            for opening, (name, texts) in zip("{,,", lists.items(), strict=True):
                stream.write(f'{opening}"{name}":['.encode())
                for number, text in enumerate(texts):
                    stream.write(text if number else text[len(SEPARATOR) :])
                stream.write(b"]")
            stream.write(b"}")

    def shown(self, settings: TrainSettings) -> tuple[pa.Table, Ints]:
        """The training pictures, and in shuffled order the positions of those that an epoch shows."""
        images, boxes = self.images(TRAIN), self.annotations(TRAIN)
        place = pc.index_in(boxes["image_id"], value_set=images["image_id"].combine_chunks())
        label = pc.index_in(boxes["category_id"], value_set=pa.array(sorted(self.classes), pa.int64()))
        of = place.fill_null(-1).to_numpy()
        order = np.argsort(of, kind="stable")
        order = order[np.searchsorted(of[order], 0) :]
        offsets = np.searchsorted(of[order], np.arange(images.num_rows + 1))
        names = [self.classes[number] for number in sorted(self.classes)]
        factors = image_factors(Labelled(label.to_numpy()[order].astype(np.int64), offsets), names, settings)
        return images, epoch_order(factors, 1, settings.seed, 1)[0].ravel()

    def write_samples(self, settings: TrainSettings, path: Path) -> None:
        """The places of the pictures that an epoch shows, a line each."""
        images, shown = self.shown(settings)
        names = _located(images)["file_name"].take(pa.array(shown)).to_pylist()
        path.write_text("".join(f"{name}\n" for name in names))

    def write_records(self, settings: TrainSettings, stated: Sequence[str], folder: Path) -> list[str]:
        """Records to train on, files of which some stand several times, so that each picture comes as often as an epoch
        shows it: those that are stated, and in files of their own those that come more often.

        Where some do not come at all, the others are written again. Records whose checksum does not hold are left out.
        """
        images, shown = self.shown(settings)
        times = np.bincount(shown, minlength=images.num_rows)
        before = min(int(times.min(initial=1)), 1)
        found = list(stated) if before else []
        for count in np.unique(times[times > before]).tolist():
            target = folder / f"shown-{count}.record"
            _write_records(images.take(pa.array(np.flatnonzero(times == count))), target)
            found += [str(target)] * (count - before)
        return found


def _write_records(images: pa.Table, target: Path) -> None:
    rows = zip(images["source_file"].to_pylist(), images["image_row"].to_pylist(), strict=True)
    wanted: dict[str, set[int]] = {}
    for file, row in rows:
        wanted.setdefault(file, set()).add(row)
    with target.open("wb") as stream:
        for file, numbers in wanted.items():
            data = map_file(file)
            for span in spans(data, len(data), len(data)):
                for number, (_, content) in enumerate(records(data, span.start, span.end), span.first):
                    if number in numbers and content is not None:
                        stream.write(framed(content))


def _located(images: pa.Table) -> pa.Table:
    """``images`` called by where they lie; those within records keep their names."""
    is_file = pc.and_(images["path"].is_valid(), pc.invert(pc.starts_with(images["path"], RECORD)))
    name = pc.if_else(is_file, images["path"], images["file_name"])
    return images.set_column(images.schema.get_field_index("file_name"), "file_name", name)


def _moved(images: pa.Table, by: int) -> pa.Table:
    return images.set_column(
        images.schema.get_field_index("image_id"), images.schema.field("image_id"), pc.add(images["image_id"], by)
    )


def _classes(classes: Mapping[int, str]) -> pa.Table:
    names = [classes[number] for number in sorted(classes)]
    return pa.table(
        {"category_id": sorted(classes), "category_name": names, "attributes": pa.nulls(len(names), pa.string())}
    )
