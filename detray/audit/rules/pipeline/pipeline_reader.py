"""The training reader of the pipeline.config does not mix its images.

Failure: records are read in their order and mixed only within the queue, so where they were written class by class or
camera by camera, or one of a video after the other, a batch holds one kind and the weights follow it; a class whose
records come last is seen last. With one record file neither file order nor several readers mix anything.
Number: training images against shuffle_buffer_size, or shuffle: false; how many files there are; one image of n read.
Source: TF Object Detection API, builders/dataset_builder.py: files are shuffled, readers take turns, then a queue of
shuffle_buffer_size records.
"""

from collections.abc import Iterator, Sequence

from detray.audit.pipeline import StatedPipeline
from detray.audit.rule import SUSPECT, WARNING, Fact, Limits, SummaryRule
from detray.audit.rules.pipeline.told import told
from detray.audit.summary import Summary
from detray.pipeline.paths import TRAIN as READER

TRAIN = "train"


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    pipeline = data.pipeline
    if pipeline is None or READER not in pipeline.file.lines:
        return []
    n_images = data.n_images(TRAIN) if TRAIN in data.splits else 0
    return [*_order(pipeline, n_images), *_sample(pipeline)]


def _order(pipeline: StatedPipeline, n_images: int) -> Iterator[Fact]:
    file, reader = pipeline.file, pipeline.file.config.train_input_reader
    files = {one for path in pipeline.paths if path.is_records and path.is_of(READER) for one in path.files}
    how_many = f"{len(files)} record files" if len(files) != 1 else "one record file"
    of_files = f" of {how_many}" if files else ""
    if not reader.shuffle:
        observed = f"shuffle is false, so images{of_files} come in the order in which they were written, each time"
        yield told(pipeline, "shuffle", observed, file.write(f"{READER}.shuffle", "true"), severity=WARNING)
    elif n_images > reader.shuffle_buffer_size and len(files) <= 1:
        observed = f"the queue mixes {reader.shuffle_buffer_size} of {n_images} images{of_files}"
        fix = f"{file.write(f'{READER}.shuffle_buffer_size', str(n_images))}, or write the records to some ten files"
        yield told(pipeline, "queue", observed, fix)


def _sample(pipeline: StatedPipeline) -> Iterator[Fact]:
    n = pipeline.file.config.train_input_reader.sample_1_of_n_examples
    if n > 1:
        place = f"{READER}.sample_1_of_n_examples"
        observed = f"it trains on one of {n} images"
        yield told(pipeline, "sample", observed, pipeline.file.write(place, "1"), severity=WARNING)


RULE = SummaryRule(
    code="pipeline-reader",
    family="pipeline",
    severity=SUSPECT,
    scope="dataset",
    problem="its training reader does not mix, or leaves out, images",
    fix="let the reader shuffle all training images",
    doc=__doc__,
    check=_check,
)
