"""num_classes, the label map and the classes of the data do not agree.

Failure: a box whose text the label map lacks is dropped before training, without a word. A class of the map above
num_classes can never be detected. num_classes left at the 90 of a configuration for COCO costs outputs that nothing
trains, and a checkpoint of it fits no other model.
Number: ids of the label map that are 0 or above num_classes; boxes of classes that the map does not name; outputs
above the highest id of the map.
Source: TF Object Detection API, data_decoders/tf_example_decoder.py (a text is looked up, -1 if it is not there) and
utils/ops.py (filter_unrecognized_classes).
"""

from collections.abc import Iterator, Mapping, Sequence

from detray.audit.pipeline import StatedPipeline
from detray.audit.rule import ERROR, SUSPECT, WARNING, Fact, Limits, SummaryRule
from detray.audit.rules.pipeline.told import boxed_classes, told
from detray.audit.summary import Summary

MAX_NAMED = 5
RECORDS = "tfrecord"
"""The format whose texts are those that are trained on; of others they are yet to be written."""


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    pipeline = data.pipeline
    if pipeline is None or not pipeline.label_ids:
        return []
    return [*_dropped(data, pipeline), *_outputs(pipeline, pipeline.label_ids)]


def _dropped(data: Summary, pipeline: StatedPipeline) -> Iterator[Fact]:
    for split, category_id, name, boxes in boxed_classes(data):
        if pipeline.trained_id(category_id, name) is None:
            yield Fact(
                split,
                f"the training reader's label map lacks it: its {boxes} boxes are dropped before training",
                category_id=category_id,
                category_name=name,
                count=boxes,
                severity=ERROR if data.formats.get(split, RECORDS) == RECORDS else WARNING,
                fix=f"add `item {{ name: '{name}' id: {max((pipeline.label_ids or {}).values()) + 1} }}` to the label"
                " map, and count it in num_classes",
            )


def _outputs(pipeline: StatedPipeline, ids: Mapping[str, int]) -> Iterator[Fact]:
    n = pipeline.num_classes
    if n is None:
        return
    place, highest = pipeline.num_classes_place, max(ids.values())
    without = sorted((number, name) for name, number in ids.items() if not 1 <= number <= n)
    if without:
        named = ", ".join(f"{name} ({number})" for number, name in without[:MAX_NAMED])
        more = f" and {len(without) - MAX_NAMED} more" if len(without) > MAX_NAMED else ""
        fix = pipeline.file.write(place, str(highest)) if highest > n else "number the classes of the label map from 1"
        observed = f"num_classes is {n}, so these of the label map can never be detected: {named}{more}"
        yield told(pipeline, "above", observed, fix, count=len(without), severity=WARNING)
    elif highest < n:
        observed = f"{n - highest} of {n} outputs are of no class of the label map, whose highest id is {highest}"
        yield told(pipeline, "below", observed, pipeline.file.write(place, str(highest)), severity=SUSPECT)


RULE = SummaryRule(
    code="pipeline-classes",
    family="pipeline",
    severity=ERROR,
    scope="class",
    problem="num_classes, label map and data do not agree on the classes",
    expected="each class of the data in the label map, under an id from 1 to num_classes",
    fix="write one label map, with ids from 1 to num_classes, and use it for records, training and evaluation",
    doc=__doc__,
    check=_check,
)
