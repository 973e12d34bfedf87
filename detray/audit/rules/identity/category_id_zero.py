"""A class has the id 0.

Failure: many trainers keep 0 for the background (TensorFlow's Object Detection API, torchvision's detection
models), so the class is trained as background and its AP stays at 0.
Number: category_id = 0 in the category list (TACO starts at 0), or an item with the id 0 in a label map in protobuf's
text format, whether a box has it or not, unless it is called background.
Source: TF Object Detection API, "Preparing Inputs": label map ids start from 1, as 0 is reserved for the
background; torchvision's detection fine-tuning tutorial says the same.
"""

from collections.abc import Sequence
from pathlib import PurePath

from detray.audit.rule import WARNING, Fact, Limits, SummaryRule
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = [
        Fact(split, "id 0", category_id=category_id, category_name=name, count=data.boxes[split].get(0, 0))
        for split, category_id, name in data.each_class()
        if category_id == 0
    ]
    stated = data.label_map
    if facts or stated is None or not stated.path.endswith(".pbtxt"):
        return facts
    name = stated.names.get(0, "background")
    where = f"id 0 in {PurePath(stated.path).name}"
    return [] if name == "background" else [Fact(None, where, category_id=0, category_name=name, count=0)]


RULE = SummaryRule(
    code="category-id-zero",
    family="identity",
    severity=WARNING,
    scope="class",
    problem="many trainers take class id 0 for the background",
    expected="ids from 1",
    fix="number the classes from 1, or check that the trainer shifts them",
    doc=__doc__,
    check=_check,
)
