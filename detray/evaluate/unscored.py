"""Rows that are not scored, or not as the others are: how many, and what became of them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from detray.errors import DetrayError
from detray.evaluate.protocol import Protocol
from detray.evaluate.shard.inputs import OVER_CAP, UNVERIFIED, no_known_image
from detray.evaluate.steps import Matched
from detray.flow.data import Data, names_of

_NOT_KEPT = (
    UNVERIFIED,
    "detections without an area",
    "detections of an unknown image",
    "detections without a box",
    "detections without a score",
    "detections without a mask",
    OVER_CAP,
)
MAX_NAMED = 5
_FATE = {
    "detections of a class that ground truth lacks": "count for no AP: such a class has none",
    OVER_CAP: "of an image and class are left out",
}


def total(matched: Sequence[Matched], splits: Sequence[str], strangers: int, source: str = "") -> Counter[str]:
    """How many rows were left out, by reason.

    Args:
        matched: of all pieces of a model.
        splits: that are evaluated.
        strangers: rows of its file, if none of them names an image of the data set.
        source: what begins the sentence of an error.

    Raises:
        DetrayError: there are detections, and none names an image of the data set, or none has a mask, where
            masks are compared.
    """
    left_out: Counter[str] = Counter()
    for found in matched:
        left_out.update(found.left_out)
    if any(found.detections for found in matched):
        return left_out
    unknown = left_out["detections of an unknown image"]
    strangers = strangers or (unknown if unknown == sum(left_out[reason] for reason in _NOT_KEPT) else 0)
    if strangers:
        raise DetrayError(source + no_known_image(", ".join(splits), strangers))
    bare = left_out["detections without a mask"]
    if bare:
        raise DetrayError(
            f"{source}none of the {bare} detections has a mask, which evaluate.iou_type segm compares: set it to"
            " bbox, or give detections with a segmentation"
        )
    return left_out


def require_labels(matched: Sequence[Matched], splits: Sequence[str], protocol: Protocol) -> None:
    """Refuse images that are evaluated by LVIS and do not say for which classes they were looked through.

    Raises:
        DetrayError: not one says so.
    """
    if protocol.name == "lvis" and not any(found.labelled for found in matched):
        raise DetrayError(
            f"evaluate.protocol: lvis needs neg_category_ids and not_exhaustive_category_ids, which no image of"
            f" {', '.join(splits)} states: give LVIS's own annotation file, or evaluate with coco"
        )


def counts(n: int, left_out: Mapping[str, int], quarantined: int = 0) -> dict[str, int]:
    """The counts of an outcome in which ``n`` detections are scored."""
    kept_not = sum(left_out[reason] for reason in _NOT_KEPT)
    return {"in": n + kept_not + quarantined, "kept": n, "quarantined": quarantined}


def nothing_left(read: int, n: int) -> list[str]:
    """What to say where every row of a file of detections was left out."""
    return [f"nothing is left to score: all {read:,} detections were left out before"] if read and not n else []


def capped(matched: Sequence[Matched], data: Data, cap: int) -> list[str]:
    """What to say where the cap on detections costs AP: images hold more boxes of a class than detections count.

    ``data`` names the classes.
    """
    lost: Counter[tuple[str, int]] = Counter()
    for found in matched:
        lost.update({(found.split, category): n for category, n in found.beyond.items()})
    names = {split: names_of(data, split) for split, _ in lost}
    most = [
        f"{n:,} of {names[split].get(category, str(category))} in {split}"
        for (split, category), n in lost.most_common(MAX_NAMED)
    ]
    rest = f", and some of {len(lost) - MAX_NAMED} more classes" if len(lost) > MAX_NAMED else ""
    said = (
        f"max_detections costs AP: {cap:,} detections an image and class count, and images with more boxes than that"
        f" have further ones: {', '.join(most)}{rest} can be found by none; raise evaluate.max_detections"
    )
    return [said] if lost else []


def fates(left_out: Mapping[str, int]) -> list[str]:
    """What became of rows that do not take part as the others do."""
    return [f"{count:,} {what} {_FATE.get(what, 'take no part')}" for what, count in left_out.items() if count]
