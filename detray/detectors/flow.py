"""The flow of inference: the images of some splits through a detector, chunk by chunk.

On CPUs an actor decodes in threads of its own while it detects; where a GPU detects, pictures are decoded in
tasks for CPUs and flow to the actors, so that no GPU waits for a JPEG. Both give the same detections.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from detray.detectors.catalogue import detector_kind
from detray.detectors.inference import Inference, Predicted, decode
from detray.detectors.io import Layout
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.detectors.unreadable import Unreadable, require_readable
from detray.detectors.viewed import has_views, pictures_at_once, prepare_of, wrapped
from detray.errors import DetrayError
from detray.flow.data import Data
from detray.flow.flow import Flow, Results
from detray.flow.outcome import Outcome, Table
from detray.flow.sample import Sample
from detray.flow.step import Output, Resources, Step
from detray.meaning.settle import Meaning, facts_of
from detray.store import ShardKey

LEAST_SAMPLE = 20
"""Pictures of a sample, where the split has as many: of fewer nothing can be told."""
CHUNK_IMAGES = 256
"""Images a task: fewer cost more in starting tasks than they gain in evenness."""
CHUNKS_AT_ONCE = 2
"""In one worker: the second one's pictures are decoded while the first one's are detected and written."""
CHUNKS_EACH = 4
"""Of a worker, where images are few: one that starts later, or is slower, leaves some to the others."""
DECODED_IMAGES = 64
"""Images a task whose pictures travel: 64 of 640 x 640 pixels are some 80 MB."""
WHOLE_IMAGES = 8
"""The same where they travel in their own pixels, of which there may be many millions."""

COLUMNS = ("split", "image_id", "file_name", "path")


@dataclass(frozen=True)
class Chunk:
    """The images at ``start`` to ``stop`` of a shard, in the order of their ids."""

    key: ShardKey
    start: int
    stop: int

    @property
    def n_images(self) -> int:
        """How many images these are at most."""
        return self.stop - self.start


@dataclass(frozen=True)
class Work:
    """What all chunks share. ``labels`` as in `Inference`; ``path``: of the detector."""

    data: Data
    run: str
    model: str
    path: str
    detector: DetectorSettings
    predict: PredictSettings
    labels: Mapping[str, Mapping[int, tuple[int, str]]]
    trust_model: bool
    sample: Sample | None = None
    """Of a split that is not predicted as a whole."""

    def images(self, chunk: Chunk) -> pa.Table:
        """Those of a chunk, the first of each id, in the order of their ids; of a sampled split those of the sample."""
        images = self.data.read_range("images", chunk.key, COLUMNS)
        images = images.filter(images["image_id"].is_valid())
        _, first = np.unique(images["image_id"].to_numpy(), return_index=True)
        own = images.take(pa.array(first, pa.int64())).slice(chunk.start, chunk.stop - chunk.start)
        if self.sample is None or self.sample.split != chunk.key.split:
            return own
        return own.filter(pa.array(self.sample.holds(own["image_id"].to_numpy())))

    @property
    def batch(self) -> int:
        """Pictures that the detector is given at once."""
        return pictures_at_once(detector_kind(self.detector).batch_size(self.predict.batch_size), self.predict)

    def layout(self) -> Layout | None:
        """What the detector takes and gives, where it is not our own."""
        read = detector_kind(self.detector).read_layout
        return None if read is None else read(self.detector, self.path)


class Counts(msgspec.Struct, frozen=True):
    """Images of a chunk, detections, and the pictures that could not be read."""

    images: int
    detections: int
    unreadable: Unreadable


@dataclass(frozen=True)
class Loaded:
    """What a worker keeps: the detector."""

    work: Work
    inference: Inference

    @staticmethod
    def of(work: Work) -> "Loaded":
        kind = detector_kind(work.detector)
        predict = work.predict
        lowest = min([predict.score_threshold, *predict.score_thresholds.values()])
        own = replace(predict, score_threshold=lowest)
        detector = wrapped(kind.load(work.detector, work.path, own, trust_model=work.trust_model), predict)
        return Loaded(work, Inference(detector, work.labels, work.model, work.run, "predict", work.batch, predict))


def detect(loaded: Loaded, chunk: Chunk) -> Output[Counts]:
    """Decode the pictures of a chunk and detect."""
    images = loaded.work.images(chunk)
    return _output(images, loaded.inference.predict(images))


def decode_chunk(work: Work, chunk: Chunk) -> dict[str, pa.Table]:
    """Decode the pictures of a chunk for a detector that is elsewhere."""
    own = detector_kind(work.detector).read_prepare(work.detector, work.path)
    return {"pictures": decode(work.images(chunk), prepare_of(own, work.predict))}


def detect_decoded(loaded: Loaded, chunk: Chunk, tables: Mapping[str, pa.Table]) -> Output[Counts]:
    """Detect in pictures that `decode_chunk` decoded."""
    return _output(tables["pictures"], loaded.inference.detect(tables["pictures"]))


def _output(images: pa.Table, found: Predicted) -> Output[Counts]:
    return Output(
        Counts(images.num_rows, found.predictions.num_rows, Unreadable.of(found.quarantine)),
        {"predictions": found.predictions, "quarantine": found.quarantine},
    )


DETECT: Step[Work, Chunk, Counts] = Step("detect", detect, Counts, setup=Loaded.of, threads=CHUNKS_AT_ONCE)
DETECT_DECODED: Step[Work, Chunk, Counts] = Step("detect", detect_decoded, Counts, read=decode_chunk, setup=Loaded.of)


def infer(flow: Flow, work: Work, splits: Sequence[str], gpus: float, meanings: Mapping[str, Meaning]) -> Outcome:
    """Run a detector over the images of ``splits``.

    Args:
        flow: where it runs.
        work: the detector, and what its predictions are called.
        splits: of the data set.
        gpus: that each actor holds; 0: it detects on CPUs.
        meanings: of the detector's class ids, by split.

    Raises:
        DetrayError: more pictures could not be read than `PredictSettings.max_unreadable` allows. Those are read
            again by the next run.
    """
    keys = flow.data.shards(splits)
    decoded = WHOLE_IMAGES if has_views(work.predict) else DECODED_IMAGES
    step, most = (DETECT_DECODED, decoded) if gpus else (DETECT, CHUNK_IMAGES)
    size = chunk_size(sum(key.n_images for key in keys), CHUNKS_EACH * flow.workers, work.batch, most)
    chunks, sampled = dict(_cut(keys, size)), {}
    if work.sample is not None:
        sampled = dict(_cut(flow.data.shards([work.sample.split]), round(size / work.sample.share)))
    results: Results[Counts] = flow.map(step, work, chunks | sampled, resources=Resources(flow.cpus, gpus))
    own = [results[name].facts for name in chunks]
    images, detections = (sum(getattr(facts, name) for facts in own) for name in ("images", "detections"))
    unreadable = sum((facts.unreadable for facts in own), Unreadable())
    try:
        require_readable(unreadable, images, work.predict.max_unreadable)
    except DetrayError:
        flow.forget(result for result in results.values() if result.facts.unreadable.count)
        raise
    read = images - unreadable.count
    layout, beside = work.layout(), _beside(work.sample, [results[name].facts for name in sampled])
    return Outcome(
        counts={"in": images, "kept": read, "quarantined": unreadable.count},
        facts={"model": work.model}
        | ({"layout": asdict(layout)} if layout else {})
        | facts_of(meanings)
        | ({"sample": beside} if beside else {}),
        summary=[Table("detections", ("model", "images", "detections"), [[work.model, read, detections]])],
        notes=[
            *([layout.line()] if layout else []),
            *(f"split {split}: {note}" for split, meaning in meanings.items() for note in meaning.notes),
            *([_told(beside)] if beside else []),
        ],
    )


def sample_of(data: Data, splits: Sequence[str], split: str, per_image: float) -> Sample | None:
    """The sample of ``split`` to compare ``splits`` with, ``per_image`` images for each one of theirs; None: none."""
    there, here = (sum(key.n_images for key in data.shards(own)) for own in ([split], splits))
    wanted = max(per_image * here, LEAST_SAMPLE)
    return Sample(split, min(wanted / there, 1.0)) if per_image > 0 and there and split not in splits else None


def _beside(sample: Sample | None, counted: Sequence[Counts]) -> dict[str, Any] | None:
    """What the manifest says of a sample: which images it holds, and how many."""
    if sample is None:
        return None
    n, lost = (sum(counts) for counts in zip(*((c.images, c.unreadable.count) for c in counted), strict=True))
    return {"split": sample.split, "share": sample.share, "images": n, "unreadable": lost}


def _told(sample: Mapping[str, Any]) -> str:
    """What the sample cost, and what it is for."""
    lost = f" ({sample['unreadable']:,} of them unreadable)" if sample["unreadable"] else ""
    return (
        f"{sample['images']:,} pictures of {sample['split']}{lost} were predicted too, for diagnose to compare with;"
        " they are not evaluated (predict.train_sample: 0 leaves them out)"
    )


def chunk_size(images: int, chunks: int, batch: int, most: int) -> int:
    """Images of a chunk, of which there are to be about ``chunks``: whole batches, since one that is not full costs as
    much; at most ``most``, whatever the batch."""
    even = -(-images // chunks)
    return max(1, min(most // batch * batch or most, -(-even // batch) * batch))


def _cut(keys: Sequence[ShardKey], size: int) -> Iterator[tuple[str, Chunk]]:
    """Chunks of at most ``size`` images; one that starts elsewhere or is of another size has another name."""
    for key in keys:
        for start in range(0, max(key.n_images, 1), size):
            yield f"{key.name}-{start:09d}-{size}", Chunk(key, start, start + size)


def model_name(settings: DetectorSettings) -> str:
    """What the column ``model`` says: the last part of the detector's path that is not just ``model``."""
    if settings.path is None:
        return settings.kind
    parts = [part for part in PurePosixPath(settings.path).parts if part not in ("model", "/", ".", "..")]
    return PurePosixPath(parts[-1]).stem if parts else "model"
