"""Boxes were drawn at another resolution than stated.

Failure: the images were resized after annotation, or the boxes come from a resized copy or from a model's input, so
every box is off by a factor: nothing is where its box says.
Number: where the outermost 0.5% of the edges lie, over a whole split, an annotator, a source file or a class.
One factor: as shares of the width and height they end at `min_factor` or more, by about the same factor both ways,
and the boxes lie about the middle of that rather than of the image (the mirrored left edges are nearer to the right
ones), or they end at 1 / `min_factor` or less though the left and upper edges come as near to 0 as they should.
One canvas, such as 640 x 640: in pixels the edges are spread alike in the smaller and the larger images
(Kolmogorov-Smirnov distance at most 0.15), and as shares they are not (0.15 more); where all images are of one size,
the canvas is a square and they are not. And over 5% lie beyond their image, or nothing lies in the outer part of images
that are 1.25 times as large.
One padded square, as detectors' inputs are: the edges along the longer side of the images end as on a canvas, and 98%
of those along the shorter side lie as far about the middle as its share of the longer, and reach there.
The confidence is one less the chance that as many images would leave their right part empty as often as their left
part holds a box; or, of boxes that are too large, that no image holds one of those beyond its edge. From `min_boxes`
boxes in `min_images` images on. What box-format explains is not said again, nor
judged where pictures show that over 5% of the images state width and height the other way round.
Source: mirror symmetry of photographs, which horizontal flips in training rely on; Kolmogorov-Smirnov.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from detray.arrays import Floats, Ints
from detray.audit import tally as counts
from detray.audit.groups import Group, at_fault, every, members, whole
from detray.audit.measures import EDGE_STEPS
from detray.audit.rule import WARNING, Fact, HypothesisRule, Limits, Suspects, Threshold
from detray.audit.rules.sides import n_exchanged
from detray.audit.statistics import Histogram, chance_of_distance, distance, pooled, quantile_key, share_at_most
from detray.audit.summary import Summary
from detray.audit.tally import BINS_PER_OCTAVE
from detray.audit.view import View

OUTERMOST = 0.005
SAME = 1.15  # two factors within this ratio are the same
SQUARE = 1.05
MIN_CONFIDENCE = 0.99
MIN_BEYOND = 0.05  # share of the boxes that reach over the edge, from which they are too large
MAX_SLOPPY = 1.05  # of the image, where edges may end
NEARER = 0.6  # of the distance to one middle, where boxes lie about the other
MIN_SKEW = 0.1  # distance of the right edges from the left ones, mirrored
MAX_CHANCE = 0.001  # of such a distance: thousands of small classes are not read again for nothing
MAX_SPREAD = 0.15
ROOMY = 1.25  # times
MAX_SHARE = 0.9  # of the longer side; nearly square images have no padding to speak of
MIN_PADDED = 0.25  # share of the boxes that stand in images that have
SHARES = 64
MAX_EDGE = 1 << 14  # px


SIDES = ("left", "top", "right", "bottom")
EXPLAINS = ("out-of-bounds", "fully-outside")


@dataclass(frozen=True)
class Edges:
    """Where the edges of some boxes lie: histograms of left, top, right and bottom in 64ths of the image, and how
    many images hold them."""

    left: Histogram
    top: Histogram
    right: Histogram
    bottom: Histogram
    n_images: int

    @property
    def ends(self) -> tuple[float, float]:
        """Where the outermost right and lower edges lie, as shares of the image."""
        right, bottom = (quantile_key(one, 1 - OUTERMOST) for one in (self.right, self.bottom))
        return (right + 1) / EDGE_STEPS, (bottom + 1) / EDGE_STEPS

    @property
    def starts(self) -> tuple[float, float]:
        """Where the outermost left and upper edges lie, as shares of the image."""
        left, top = (quantile_key(one, OUTERMOST) for one in (self.left, self.top))
        return left / EDGE_STEPS, top / EDGE_STEPS

    def skew(self, end: float, axis: int = 0) -> float:
        """The distance of the right (lower) edges from the left (upper) ones, mirrored in the middle of 0 and ``end``,
        a share of the image."""
        (keys, n), high = (self.left, self.right) if axis == 0 else (self.top, self.bottom)
        return distance((round(end * EDGE_STEPS) - 1 - keys[::-1], n[::-1]), high)

    def are_mostly_beyond(self, axis: int = 0) -> bool:
        """Whether the boxes lie about the middle of what they reach rather than of their images.

        A few boxes that reach beyond their images set the end, too, but the others lie about the images' middle.
        """
        beyond = quantile_key((self.right, self.bottom)[axis], 0.5) >= EDGE_STEPS
        return beyond or self.skew(self.ends[axis], axis) < NEARER * self.skew(1, axis)

    def too_large(self, limits: Limits) -> float | None:
        """The confidence that boxes reach beyond their images, if they do both ways."""
        if min(self.ends) < limits["min_factor"] or min(self.starts) < -0.05 or not self.are_mostly_beyond():
            return None
        beyond = 1 - min(share_at_most(one, EDGE_STEPS) for one in (self.right, self.bottom))
        return _sure(1 - (1 - beyond) ** self.n_images) if beyond > MIN_BEYOND else None

    def too_small(self, limits: Limits) -> float | None:
        """The confidence that the right and lower parts of the images are empty by no chance, if they are empty."""
        scale = max(self.ends)
        if not (0 < scale <= 1 / limits["min_factor"] and 0 <= max(self.starts) <= (1 - scale) / 4):
            return None
        mirrored = min(share_at_most(one, (1 - scale) * EDGE_STEPS - 1) for one in (self.left, self.top))
        return _sure(1 - (1 - mirrored) ** self.n_images)


def _sure(confidence: float) -> float | None:
    return confidence if confidence >= MIN_CONFIDENCE else None


def edges_of(data: Summary, group: Group) -> Edges:
    """The edges of a group's boxes."""
    tally = data.tallies[group.split]
    left, top, right, bottom = (group.histogram(tally, side) for side in SIDES)
    return Edges(left, top, right, bottom, group.n_images(data))


def suspects(data: Summary, limits: Limits) -> Suspects:
    """The groups of each split whose edges do not lie as those of photographs do."""
    found = {}
    for split in data.splits:
        groups = [group for group in every(data, split) if _is_suspect(data, limits, group)]
        if _is_suspect(data, limits, whole(data, split)):
            groups = every(data, split)
        if groups:
            found[split] = groups
    return found


def _is_suspect(data: Summary, limits: Limits, group: Group) -> bool:
    if not _is_judged(data, limits, group):
        return False
    edges = edges_of(data, group)
    skew = edges.skew(1)
    # the two edges of a box are no two boxes: as many independent ones are half as many
    n_boxes = max(int(edges.left[1].sum()) // 2, 1)
    is_skewed = skew >= MIN_SKEW and chance_of_distance(skew, n_boxes, n_boxes) <= MAX_CHANCE
    return is_skewed or max(edges.ends) >= MAX_SLOPPY or edges.too_small(limits) is not None


def _is_judged(data: Summary, limits: Limits, group: Group) -> bool:
    n_boxes = int(group.histogram(data.tallies[group.split], "left")[1].sum())
    return n_boxes >= limits["min_boxes"] and group.n_images(data) >= limits["min_images"]


def gather(view: View, groups: Sequence[Group]) -> Iterator[pa.Table]:
    """Edges in whole px: right and lower ones by the width and height of their image, those that end the longer axis
    by its length (octave bins), and those that begin and end the shorter axis by its share of the longer (64ths)."""
    for suffix, ids, rows, codes in members(view, groups):
        sized = view.is_object[rows] & ~np.isnan(view.image_width[rows])
        rows, codes = rows[sized], codes[sized]
        sizes = view.image_sizes(rows)
        low, high = view.boxes[rows, :2], view.boxes[rows, :2] + view.boxes[rows, 2:]
        is_tall = (sizes[:, 1] > sizes[:, 0]).astype(np.int64)[:, None]
        (shorter, begins, ends), (longer, _, reaches) = (
            tuple(np.take_along_axis(one, axis, 1)[:, 0] for one in (sizes, low, high))
            for axis in (1 - is_tall, is_tall)
        )
        for name, size, edge in (
            ("right_px", _octave(sizes[:, 0]), high[:, 0]),
            ("bottom_px", _octave(sizes[:, 1]), high[:, 1]),
            ("longer_px", _octave(longer), reaches),
            ("begin_px", np.rint(SHARES * shorter / longer).astype(np.int64), begins),
            ("end_px", np.rint(SHARES * shorter / longer).astype(np.int64), ends),
        ):
            whole_px = np.clip(np.rint(edge), 0, MAX_EDGE - 1).astype(np.int64)
            yield counts.count(name + suffix, ids, codes, size * MAX_EDGE + whole_px)


def _octave(sizes: Floats) -> Ints:
    return np.rint(BINS_PER_OCTAVE * np.log2(sizes)).astype(np.int64)


@dataclass(frozen=True)
class Reached:
    """How far edges reach along one axis.

    Attributes:
        end: where the outermost end, px.
        size: of the images, px; None if they are of several sizes.
        is_canvas: the edges are spread alike in pixels, and not as shares, in smaller and larger images.
        beyond: share of the edges that lie beyond their image.
        roomy: share of the edges in images that are at least 1.25 times as long as ``end``.
    """

    end: float
    size: float | None
    is_canvas: bool
    beyond: float
    roomy: float


def reached(histogram: Histogram) -> Reached:
    """What `gather`'s tally says of one axis."""
    keys, n = histogram
    bins, edges = np.divmod(keys, MAX_EDGE)
    sizes = counts.bin_centres(bins)
    end = float(quantile_key(_counted(edges, n), 1 - OUTERMOST))
    beyond, roomy = (float(n[rows].sum() / n.sum()) for rows in (edges > 1.02 * sizes, sizes >= ROOMY * end))
    middle = bins[np.searchsorted(np.cumsum(n), n.sum() / 2)]
    cuts = [bins < middle, bins <= middle]  # as many images may be of the median size as not
    smaller = max(cuts, key=lambda cut: min(n[cut].sum(), n[~cut].sum()))
    if min(n[smaller].sum(), n[~smaller].sum()) < MIN_BEYOND * n.sum():
        return Reached(end, float(counts.bin_centres(middle)), False, beyond, roomy)
    shares = np.rint(1024 * edges / sizes).astype(np.int64)
    in_px, in_shares = (
        distance(_counted(one[smaller], n[smaller]), _counted(one[~smaller], n[~smaller])) for one in (edges, shares)
    )
    return Reached(end, None, in_px <= MAX_SPREAD and in_shares >= in_px + MAX_SPREAD, beyond, roomy)


def _counted(keys: np.ndarray, n: np.ndarray) -> Histogram:
    return pooled([(keys, n)])


def canvas(edges: Edges, axes: Sequence[Reached]) -> float | None:
    """The confidence that boxes were drawn on one canvas; None where it is no canvas, or the boxes fit as they are."""
    if any(one.is_canvas for one in axes):
        if not all(one.is_canvas or one.size is not None for one in axes):
            return None
    else:
        (width, across), (height, down) = ((one.size, one.end) for one in axes)
        if width is None or height is None or _ratio(across, down) > SQUARE or _ratio(width, height) <= SAME:
            return None
        if any(end > MAX_SLOPPY and not edges.are_mostly_beyond(axis) for axis, end in enumerate(edges.ends)):
            return None
    confidence = 0.0
    for one, start in zip(axes, (edges.left, edges.top), strict=True):
        mirrored = share_at_most(start, (1 - 1 / ROOMY) * EDGE_STEPS - 1)
        confidence = max(confidence, 1 - (1 - mirrored) ** (one.roomy * edges.n_images))
        if one.beyond > MIN_BEYOND:
            confidence = max(confidence, 1 - (1 - one.beyond) ** edges.n_images)
    return _sure(confidence)


def letterbox(n_images: int, longer: Reached, begin: Histogram, end: Histogram) -> float | None:
    """The confidence that images were fitted into a square with padding on both sides, as detectors' inputs are.

    The longer axis reaches to the square's side, and the shorter as far as its share of it, about the middle.
    """
    if not longer.is_canvas and longer.size is None:
        return None
    sides = []
    for keys, n in (begin, end):
        share, edge = np.divmod(keys, MAX_EDGE)
        padded = share <= MAX_SHARE * SHARES
        if n[padded].sum() < MIN_PADDED * n.sum():
            return None
        place = (2 * edge[padded] / longer.end - 1) * SHARES / share[padded]  # from -1 to 1 within the picture
        sides.append(_counted(np.rint(100 * place).astype(np.int64), n[padded]))
    first, last = sides
    within = min(1 - share_at_most(first, -104), share_at_most(last, 103))
    if within < 0.98 or quantile_key(first, 0.01) > -80 or quantile_key(last, 0.99) < 80:
        return None
    mirrored = 1 - share_at_most(last, 79)  # as often boxes should stand in the padding before it
    return _sure(1 - (1 - mirrored) ** (n_images * last[1].sum() / end[1].sum()))


def _ratio(a: float, b: float) -> float:
    return max(a, b) / max(min(a, b), 1e-9)


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    judged, verdict = partial(_is_judged, data, limits), partial(_verdict, data, limits)
    sized = [split for split in sorted(data.evidence) if n_exchanged(data, split) <= MIN_BEYOND * data.n_images(split)]
    return [fact for split in sized for fact in at_fault(data, split, judged, verdict)]


def _verdict(data: Summary, limits: Limits, group: Group) -> Fact | None:
    """The scale at which the boxes of a group were drawn."""
    names = ("right_px", "bottom_px", "longer_px", "begin_px", "end_px")
    *seen, longer_px, begin, end = (group.histogram(data.evidence[group.split], name) for name in names)
    edges = edges_of(data, group)
    n_boxes = int(edges.left[1].sum())
    if begin[1].sum() < n_boxes:  # not all were looked at again: there was no suspicion of the group as a whole
        return None
    subject = f"{n_boxes} boxes{group.whose}"
    right, bottom = edges.ends
    axes = [reached(one) for one in seen]
    longer = reached(longer_px)
    confidence, kind = letterbox(edges.n_images, longer, begin, end), "letterbox"
    if confidence is not None:
        text = f"{subject} lie as in a padded square of about {longer.end:.0f} px that their image is fitted into"
    elif (confidence := canvas(edges, axes)) is not None:
        kind = "canvas"
        text = f"{subject} end at about {axes[0].end:.0f} x {axes[1].end:.0f} px, whatever the size of their image"
    elif _ratio(right, bottom) <= SAME and not any(one.is_canvas for one in axes):
        confidence, kind = edges.too_large(limits) or edges.too_small(limits), "factor"
        text = f"{subject} are about {max(right, bottom):.2f} times as large as the images say"
    if confidence is None:
        return None
    return group.fact(
        text,
        n_boxes,
        confidence=confidence,
        kind=kind,
        expected="boxes in pixels of the image as stated",
        explains=EXPLAINS if max(right, bottom) > 1 else (),
    )


RULE = HypothesisRule(
    code="coordinate-scale",
    family="geometry",
    severity=WARNING,
    scope="class",
    problem="its boxes were drawn at another resolution",
    fix="scale the boxes back to their images, or state the size that they were drawn at",
    doc=__doc__,
    thresholds=(
        Threshold("min_factor", 1.25, "times", 1.05, 100, "smaller factors are not told from how objects lie"),
        Threshold("min_boxes", 200, "boxes", 20, 1e9, "fewer are not judged"),
        Threshold("min_images", 30, "images", 10, 1e9, "fewer are not judged"),
    ),
    suspects=suspects,
    gather=gather,
    check=_check,
)
