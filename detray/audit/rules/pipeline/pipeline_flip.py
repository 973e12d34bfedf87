"""The augmentation flips pictures whose classes are told apart by a side.

Failure: a flipped left arrow is a right arrow that is still called left, in half of the steps; both classes end at a
precision of a half, and the model takes one for the other.
Number: two classes whose names differ in left and right (horizontal flips) or up and down, top and bottom (vertical
ones, quarter turns for all of these), while random_horizontal_flip, random_vertical_flip or random_rotation90 is on.
Source: TF Object Detection API, core/preprocessor.py: flips change boxes and not classes.
"""

import re
from collections.abc import Iterator, Sequence

from detray.audit.rule import WARNING, Fact, Limits, SummaryRule
from detray.audit.rules.pipeline.told import told
from detray.audit.summary import Summary

ACROSS = (("left", "right"), ("l", "r"), ("lhs", "rhs"), ("east", "west"))
DOWN = (("up", "down"), ("top", "bottom"), ("upper", "lower"), ("upward", "downward"))
SIDES = {"random_horizontal_flip": ACROSS, "random_vertical_flip": DOWN, "random_rotation90": (*ACROSS, *DOWN)}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    pipeline = data.pipeline
    if pipeline is None:
        return []
    names = dict.fromkeys(name for _, _, name in data.each_class())
    facts = []
    for number, step in enumerate(pipeline.file.config.train_config.data_augmentation_options):
        for kind, sides in SIDES.items():
            if getattr(step, kind) is None:
                continue
            pairs = list(_pairs(list(names), sides))
            if pairs:
                here, there = pairs[0]
                at = pipeline.file.at(f"train_config.data_augmentation_options[{number}]")
                observed = f"{kind} makes {here} of {there} and keeps its name"
                fix = f"take {at} with {kind} out"
                facts.append(told(pipeline, kind, observed, fix, count=len(pairs)))
    return facts


def _pairs(names: Sequence[str], sides: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs of names that a side tells apart, the one with the first side first."""
    words = {tuple(word.lower() for word in _WORDS.findall(name)): name for name in names}
    for own, name in words.items():
        for here, there in sides:
            other = tuple(there if word == here else word for word in own)
            if other != own and other in words:
                yield name, words[other]


RULE = SummaryRule(
    code="pipeline-flip",
    family="pipeline",
    severity=WARNING,
    scope="dataset",
    problem="it flips pictures whose classes a side tells apart",
    fix="take the flip out of data_augmentation_options",
    doc=__doc__,
    check=_check,
)
