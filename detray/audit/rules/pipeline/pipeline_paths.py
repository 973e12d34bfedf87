"""A path in the pipeline.config leads to no file, or to another one than the data set's.

Failure: a path that is not there stops the training, after minutes of start-up. Worse is one that is there and is
another: an old label map renames classes in silence, the record files of another export train on other boxes than were
audited, and an evaluation that reads the training's records measures what was learned by heart.
Number: each stated path of records and label maps that is not there (one that leads out of the data set's folder is not
looked at, and is an info; a warning where a file of that name is there); readers that share a file;
label maps that give a name another id; record files that are not those of the data set's splits.
Source: TF Object Detection API, protos/input_reader.proto; the model zoo's files say PATH_TO_BE_CONFIGURED.
"""

from collections.abc import Iterator, Sequence

from detray.audit.pipeline import StatedPipeline
from detray.audit.rule import ERROR, INFO, WARNING, Fact, Limits, SummaryRule
from detray.audit.rules.pipeline.told import told
from detray.audit.summary import Summary
from detray.pipeline.paths import CHECKPOINT, EVAL, TRAIN, StatedPath


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    if data.pipeline is None:
        return []
    pipeline = data.pipeline
    return [*_lost(pipeline), *_shared(pipeline), *_of_other_labels(pipeline), *_of_other_records(pipeline)]


def _lost(pipeline: StatedPipeline) -> Iterator[Fact]:
    for path in pipeline.paths:
        if path.problem is None or path.place == CHECKPOINT:
            continue
        if path.instead is not None:
            fix = pipeline.file.write(_field(path.place), f'"{path.instead}"')
        elif path.looked:
            fix = f"correct {pipeline.file.at(path.place)}, or write the file there"
        else:
            at = pipeline.file.at(path.place)
            fix = f"copy what {at} names below the data set's folder, or name its folder in dataset.also"
        severity = ERROR if path.looked else WARNING if path.instead is not None else INFO
        yield told(pipeline, path.place, f"{path.place}: {path.stated} {path.problem}", fix, severity=severity)


def _field(place: str) -> str:
    """A field without the number of a value that repeats."""
    return place[: place.rindex("[")] if place.endswith("]") else place


def _shared(pipeline: StatedPipeline) -> Iterator[Fact]:
    trained = {file: path for path in _records(pipeline, TRAIN) for file in path.files}
    for path in _records(pipeline, EVAL):
        both = [file for file in path.files if file in trained]
        if both:
            observed = (
                f"{path.place} reads {path.stated}, which the training reads too: the AP is that of training pictures"
            )
            fix = f"name the validation records in {pipeline.file.at(path.place)}"
            yield told(pipeline, f"shared {path.place}", observed, fix, count=len(both), severity=WARNING)


def _records(pipeline: StatedPipeline, reader: str) -> list[StatedPath]:
    return [path for path in pipeline.paths if path.is_records and path.is_of(reader)]


def _of_other_labels(pipeline: StatedPipeline) -> Iterator[Fact]:
    for place, difference in pipeline.other_labels.items():
        fix = f"name one label map in both readers and in dataset.label_map ({pipeline.file.at(place)})"
        yield told(pipeline, f"labels {place}", f"{place}: {difference}", fix)


def _of_other_records(pipeline: StatedPipeline) -> Iterator[Fact]:
    """Record files of a reader none of which belongs to the data set, whose records are known."""
    audited = {file for files in pipeline.read_files.values() for file in files}
    for reader in (TRAIN, EVAL):
        read = [file for path in _records(pipeline, reader) for file in path.files]
        other = [file for file in read if file not in audited]
        if audited and other:
            observed = f"{reader} reads {len(other)} record files that are not of the data set, {other[0]} for one"
            fix = "audit the records that are trained on, or name those of the data set in the reader"
            yield told(pipeline, f"records {reader}", observed, fix, count=len(other), severity=WARNING)


RULE = SummaryRule(
    code="pipeline-paths",
    family="pipeline",
    severity=ERROR,
    scope="dataset",
    problem="a path is not what training and evaluation need",
    expected="paths of the data set's own records and label map",
    fix="correct the paths",
    doc=__doc__,
    check=_check,
)
