"""A class has an id that the model of the pipeline.config has no output for.

Failure: the API turns an id into a vector of num_classes places. For id 0, or above num_classes, all are zero, so its
boxes are trained as background; the evaluation looks for the largest place and takes the first, so the same boxes are
ground truth of class 1, which gets the misses of all of them. Nothing is said.
Number: by split, the boxes of each class whose id, by the label map of the training reader where the map names the
class, is 0 or above num_classes. Numbers that no file gives, as those of Pascal VOC's names, are not judged.
Source: TF Object Detection API, inputs.py (one_hot of the id less 1) and model_lib_v2.py (argmax plus 1).
"""

from collections.abc import Sequence

from detray.audit.rule import FATAL, Effect, Fact, Limits, SummaryRule
from detray.audit.rules.pipeline.told import boxed_classes
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    pipeline = data.pipeline
    if pipeline is None or pipeline.num_classes is None:
        return []
    n = pipeline.num_classes
    first = _name_of_first(data)
    trained = [
        (split, category_id, name, own, boxes)
        for split, category_id, name, boxes in boxed_classes(data)
        for own in [pipeline.trained_id(category_id, name)]
        if own is not None
        and (own != category_id or name in (pipeline.label_ids or {}) or category_id in _numbered(data, split))
    ]
    highest = max((own for *_, own, _ in trained), default=n)
    facts = []
    for split, category_id, name, own, boxes in trained:
        if 1 <= own <= n:
            continue
        effect = f"its {boxes} boxes train as background and are evaluated as {first}, which gets their misses"
        facts.append(
            Fact(
                split,
                f"id {own} and num_classes {n}: {effect}",
                expected=f"an id from 1 to {n}",
                category_id=category_id,
                category_name=name,
                other_category_name=first,
                count=boxes,
                fix=pipeline.file.write(pipeline.num_classes_place, str(highest)) if own > n else None,
                effects=(Effect("category-id-zero", frozenset({category_id}), split),),
            )
        )
    return facts


def _numbered(data: Summary, split: str) -> set[int]:
    """The ids that files give: of a split's classes, or the label map. Others are detray's own numbers for names."""
    rows = data.categories_of[split].to_pylist()
    of_files = {row["category_id"] for row in rows if row["is_listed"] is not False or row["source_file"] is not None}
    return of_files | set(data.label_map.names if data.label_map is not None else ())


def _name_of_first(data: Summary) -> str:
    """The class that has the id 1."""
    ids = data.pipeline.label_ids if data.pipeline is not None else None
    named = [name for name, number in (ids or {}).items() if number == 1]
    named += [name for _, category_id, name in data.each_class() if category_id == 1]
    return named[0] if named else "class 1"


RULE = SummaryRule(
    code="class-id-range",
    family="pipeline",
    severity=FATAL,
    scope="class",
    problem="the model has no output for its id",
    fix="number the classes from 1 in the label map and in the records, which are then written again",
    doc=__doc__,
    check=_check,
)
