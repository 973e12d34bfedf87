"""One picture is drawn twice, and the boxes of the two drawings do not agree.

Failure: no detector can agree with both drawings, nor with a third one better than they do with each other: beyond
their agreement AP measures whose hand drew the picture. Two models that differ by less cannot be told apart, least of
all at high IoU thresholds, and the training is told two things about one picture.
Number: pictures that are the same file or nearly the same (as near-duplicate-image says, but no frames of one clip), in
one split or in two, and images that several annotators drew on. Boxes are matched one to one within their class; the
agreement at an IoU threshold is twice the matches over the boxes of both drawings: what precision and recall of the one
are against the other where both drew equally many. Told where it is below `min_agreement` at IoU .75, over at least
`min_pictures` pictures and `min_boxes` boxes of both drawings together, and once more of each class with so many. AP is
the mean of the agreement over .50:.05:.95. Copies (half of the matches coincide up to rounding) are not drawn twice,
nor are pictures that one of the two left without boxes, nor near-duplicates half of whose boxes match none; of
near-duplicates that are some pixels aside of each other the median offset of the boxes is taken off first.
Source: pycocotools/cocoeval.py for the thresholds; agreement of annotators as in LVIS (Gupta et al., CVPR 2019, section
4); Barz and Denzler, "Do We Train on Test Data?", J. Imaging 6 (2020), for duplicates.
"""

from collections.abc import Iterator, Sequence

from detray.audit.ceiling import Ceiling, of_all, of_classes
from detray.audit.rule import WARNING, DrawnRule, Fact, Limits, Threshold
from detray.audit.summary import Summary
from detray.audit.tally import Tally


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    return [
        fact
        for splits, tally in sorted(data.drawn.items())
        for fact in _in_splits(splits, tally, data.classes.get(splits[0], {}), limits)
    ]


def _in_splits(splits: tuple[str, str], tally: Tally, names: dict[int, str], limits: Limits) -> Iterator[Fact]:
    whole, classes = of_all(tally), of_classes(tally)
    if not _is_poor(whole, limits):
        return
    where = splits[0] if splits[0] == splits[1] else None
    share = " and ".join(sorted(set(splits)))
    root = Fact(
        where,
        _observed(whole, tally.total("drawn:differing"), "" if where else f", in {share}"),
        count=whole.pictures,
        share=share,
        explains=(RULE.code,),
        of_share=share,
        of_splits=splits,
    )
    yield root
    for category_id, own in classes.items():
        if own.boxes != whole.boxes and _is_poor(own, limits):
            yield Fact(
                where,
                _observed(own, None, "" if where else f", in {share}"),
                category_id=category_id,
                category_name=names.get(category_id),
                count=own.pictures,
                share=share,
                root=root,
                of_splits=splits,
            )


def _is_poor(found: Ceiling, limits: Limits) -> bool:
    return (
        found.pictures >= limits["min_pictures"]
        and sum(found.boxes) >= limits["min_boxes"]
        and found.agreement(75) < limits["min_agreement"]
    )


def _observed(found: Ceiling, differing: int | None, where: str) -> str:
    matched = found.matched()
    median = "" if found.median is None else f", at a median IoU of {found.median:.2f}, {found.matched(75)} at .75"
    alone = sum(found.boxes) - 2 * (matched + (differing or 0))
    other = "" if differing is None else f", {differing} differ in class"
    noun = "picture is" if found.pictures == 1 else "pictures are"
    return (
        f"{found.pictures} {noun} drawn twice{where}: {matched} of {found.boxes[0]} and {found.boxes[1]} boxes match at"
        f" IoU .5{median}; {alone} only one drew{other}; no detector can be expected beyond AP75 of about"
        f" {found.agreement(75):.2f} here (AP50 {found.agreement(50):.2f}, AP {found.ap:.2f})"
    )


RULE = DrawnRule(
    code="duplicate-disagreement",
    family="pattern",
    severity=WARNING,
    scope="split",
    problem="where one picture is drawn twice, the boxes do not agree",
    expected="drawings of one picture that agree at IoU .75",
    fix="draw these pictures again by one guideline and keep one of each; until then take no AP beyond it for a gain",
    doc=__doc__,
    thresholds=(
        Threshold("min_agreement", 0.9, "of the boxes", 0.0, 1.0, "agreement at IoU .75 below which it is told"),
        Threshold("min_pictures", 5, "pictures", 1, 1e9, "drawn twice; fewer are not judged"),
        Threshold("min_boxes", 20, "boxes", 2, 1e9, "of both drawings; fewer are not judged"),
    ),
    check=_check,
)
