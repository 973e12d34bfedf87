"""Which class each class id of the detections means, from what the detections sit on."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.observation.counts import MIN_HITS, NIL_RECALL, WORKING_RECALL, ClassCounts

REMAP_SHARE = Criterion(0.1, f"share of a class's boxes that the other class must hit: {SUITE}")
REMAP_DOMINANCE = Criterion(0.4, f"share of the covered boxes that go to one other class: {SUITE}")
SOURCE_DOMINANCE = Criterion(0.7, f"or share of the id's detections that sit on the class's boxes: {SUITE}")
RULE_EXCEPTIONS = Criterion(
    0.2, "boxes labelled as the ids stand, for each that another numbering of all classes explains"
)


@dataclass(frozen=True)
class ClassRemap:
    """Detections labelled ``source`` mean the class ``target``; ``hits`` of its ``n`` boxes say so."""

    source: int
    target: int
    hits: int
    n: int


@dataclass(frozen=True)
class LabelFault:
    """All remaps, and what they have in common: ``offset`` if all these ids are shifted by as much."""

    remaps: Mapping[int, ClassRemap]
    """By target class."""
    offset: int | None
    rule: str | None = None
    """What the ids follow, for a sentence, or else each pair of them; None of a single one."""
    rule_share: float = 0.0
    """Of the boxes of the classes that are renamed and that anything covers, the share that say so."""

    unseen: Mapping[int, int] = field(default_factory=dict)
    """From ids that the rule renames and no detection carries to the class they mean."""

    @property
    def classes(self) -> dict[int, int]:
        """From the id that detections carry to the class they mean."""
        return {remap.source: target for target, remap in self.remaps.items()}

    @property
    def category_map(self) -> dict[int, int]:
        """The same for all ids that the detector may use, by rising id."""
        return dict(sorted((self.classes | dict(self.unseen)).items()))


@dataclass(frozen=True)
class _Rule:
    """A numbering of all classes: ``sources`` is the id that detections carry, by class."""

    words: str
    sources: Mapping[int, int]


def find_remaps(
    counts: ClassCounts, names: Mapping[int, str], others: Mapping[str, Mapping[int, str]] | None = None
) -> LabelFault | None:
    """The classes that the detections' ids mean, as co-occurrence shows.

    Either class by class, or as one numbering of all classes, which then also tells what the ids of
    classes mean that have too few boxes or are too seldom found to show it.

    Args:
        counts: counts of all shards.
        names: the data set's classes by id.
        others: further lists of classes by id that the detector may have been made with, by what
            they are called in a sentence.
    """
    remaps, weak = _class_by_class(counts)
    offset = _common_offset(remaps)
    remaps |= {k: r for k, r in weak.items() if offset is not None and r.source - r.target == offset}
    fault = LabelFault(remaps, None)
    supports = [
        support for rule in _rules(counts, names, others or {}) if (support := _support(rule, counts)) is not None
    ]
    if not supports:
        return _worded(fault, names, counts) if remaps else None
    best = max(supports, key=lambda support: support.surplus)
    return _worded(_followed(best, counts, fault), names, counts, best.rule)


def _worded(fault: LabelFault, names: Mapping[int, str], counts: ClassCounts, rule: _Rule | None = None) -> LabelFault:
    """The fault with what all its ids have in common: nothing is said of all that does not hold for each."""
    meant = fault.category_map
    shifts = {source - target for source, target in meant.items()}
    hits = sum(remap.hits for remap in fault.remaps.values())
    covered = sum(n for (target, _), n in counts.votes.items() if target in fault.remaps)
    fault = replace(fault, rule_share=fault.rule_share or hits / max(covered, 1))
    if len(meant) < 2:
        return fault
    if len(shifts) == 1:
        offset = shifts.pop()
        which = "every class id" if counts.detections.keys() <= meant.keys() else f"{len(meant)} class ids"
        verb = "is" if which.startswith("every") else "are"
        return replace(fault, offset=offset, rule=f"{which} of the detections {verb} shifted by {offset:+d}")
    if rule is not None and all(rule.sources.get(target) == source for source, target in meant.items()):
        return replace(fault, rule=rule.words)
    pairs = [f"{source} is `{names.get(target, target)}` (id {target})" for source, target in meant.items()]
    more = f" and {len(pairs) - _SHOWN_IDS} more" if len(pairs) > _SHOWN_IDS else ""
    return replace(fault, rule=f"of the detections' class ids {', '.join(pairs[:_SHOWN_IDS])}{more}")


def _class_by_class(counts: ClassCounts) -> tuple[dict[int, ClassRemap], dict[int, ClassRemap]]:
    """The assignment of ids to classes (Hungarian method, Kuhn 1955): remaps, and those of few hits.

    A class takes part where its own recall is nil; an id where its own recall is nil or it has no
    boxes, and it covers a share of the class's boxes, and most of those that anything covers or of its
    own detections are there.
    """
    own = _own_votes(counts)

    def nil(category: int) -> bool:
        return own.get(category, 0) <= NIL_RECALL * counts.boxes.get(category, 0)

    targets = sorted(k for k, n in counts.boxes.items() if n and nil(k))
    sources = sorted(k for k, n in counts.detections.items() if n and nil(k))
    if not targets or not sources:
        return {}, {}
    weight = np.zeros((len(targets), len(sources)))
    column = {k: place for place, k in enumerate(sources)}
    row = {k: place for place, k in enumerate(targets)}
    covered = dict.fromkeys(targets, 0)
    for (target, source), n in counts.votes.items():
        if target in row and source != target:
            covered[target] += n
            if source in column:
                weight[row[target], column[source]] = n / counts.boxes[target]
    if weight.max() < REMAP_SHARE:
        return {}, {}
    from scipy.optimize import linear_sum_assignment  # a second to import, and seldom needed

    chosen = zip(*linear_sum_assignment(weight, maximize=True), strict=True)
    remaps: dict[int, ClassRemap] = {}
    weak: dict[int, ClassRemap] = {}
    for i, j in chosen:
        target, source = targets[i], sources[j]
        hits = counts.votes.get((target, source), 0)
        remap = ClassRemap(source, target, hits, counts.boxes[target])
        is_most = hits >= REMAP_DOMINANCE * covered[target] or hits >= SOURCE_DOMINANCE * counts.detections[source]
        if target == source or weight[i, j] < REMAP_SHARE or not is_most:
            continue
        (remaps if hits >= MIN_HITS else weak)[target] = remap
    return remaps, weak


def _common_offset(remaps: Mapping[int, ClassRemap]) -> int | None:
    """The shift of the ids that at least two thirds, and at least two, of the remaps share."""
    shifts = [remap.source - remap.target for remap in remaps.values()]
    if len(shifts) < 2:
        return None
    common = max(set(shifts), key=shifts.count)
    return common if shifts.count(common) >= max(2, 2 * len(shifts) / 3) else None


def _own_votes(counts: ClassCounts) -> dict[int, int]:
    """By class: boxes whose detection is labelled as they are."""
    voted = {category for category, _ in counts.votes}
    return {k: counts.votes.get((k, k), 0) if k in voted else counts.hits.get(k, 0) for k in counts.boxes}


# numberings of all classes


def _rules(counts: ClassCounts, names: Mapping[int, str], others: Mapping[str, Mapping[int, str]]) -> Iterator[_Rule]:
    """Numberings that tools are known to give classes, the simplest first."""
    shifts: Counter[int] = Counter()
    for (target, source), n in counts.votes.items():
        shifts[source - target] += n
    ids = sorted(names)
    for shift, _ in sorted(shifts.items(), key=lambda item: (-item[1], abs(item[0]), item[0]))[:_MAX_SHIFTS]:
        if shift:
            yield _Rule(f"the detections' class ids are shifted by {shift:+d}", {k: k + shift for k in ids})
    by_name = sorted(ids, key=lambda k: (names[k], k))
    for listed, words in ((ids, "ids"), (by_name, "names")):
        for first in (0, 1):
            yield _Rule(
                f"the detections' class ids are positions among the data set's sorted class {words}, from {first}",
                {k: place for place, k in enumerate(listed, first)},
            )
    for words, there in others.items():
        number = {key_of(name): k for k, name in sorted(there.items(), reverse=True)}
        sources = {k: number[key_of(name)] for k, name in names.items() if key_of(name) in number}
        yield _Rule(f"the detections' class ids are those of the {words}", sources)
        place = {key_of(name): place for place, name in enumerate(there.values())}
        own = list(names)  # in the order of the list
        if len(place) == len(own) and all(key_of(name) in place for name in names.values()):
            yield _Rule(
                f"the classes go by their place in the list, and the {words} list them in another order",
                {k: own[place[key_of(name)]] for k, name in names.items()},
            )


_MAX_SHIFTS = 8


@dataclass(frozen=True)
class _Support:
    """How many boxes speak for a rule, of those of the classes that it renames."""

    rule: _Rule
    hits: int
    own: int
    """Boxes that speak for the ids as they stand."""
    covered: int

    @property
    def surplus(self) -> int:
        return self.hits - self.own


def _support(rule: _Rule, counts: ClassCounts) -> _Support | None:
    """The boxes that speak for a rule; None where they are too few, or too many speak against it."""
    own = _own_votes(counts)
    renamed = {k: source for k, source in rule.sources.items() if source != k and counts.boxes.get(k)}
    votes: dict[int, Counter[int]] = {k: Counter() for k in renamed}
    for (target, source), n in counts.votes.items():
        if target in renamed:
            votes[target][source] += n
    hits = sum(votes[k][source] for k, source in renamed.items())
    stays = sum(own.get(k, 0) for k in renamed)
    covered = sum(sum(own_votes.values()) for own_votes in votes.values())
    told = {k: own_votes for k, own_votes in votes.items() if sum(own_votes.values()) >= MIN_HITS}
    first = [k for k, own_votes in told.items() if own_votes[renamed[k]] == max(own_votes.values())]
    is_told = len(first) >= 2 and 2 * len(first) > len(told)
    if not is_told or hits < REMAP_DOMINANCE * covered or stays > RULE_EXCEPTIONS * hits:
        return None
    return _Support(rule, hits, stays, covered)


def _followed(support: _Support, counts: ClassCounts, fault: LabelFault) -> LabelFault:
    """The remaps of all classes by a rule; those that were found class by class stand."""
    rule, own = support.rule, _own_votes(counts)

    def works(target: int, hits: int) -> bool:
        stays = own.get(target, 0)
        return stays >= hits and stays >= max(WORKING_RECALL * counts.boxes.get(target, 0), MIN_HITS)

    remaps = dict(fault.remaps)
    taken = {remap.source for remap in remaps.values()}
    for target, source in rule.sources.items():
        hits = counts.votes.get((target, source), 0)
        if target in remaps or source == target or source in taken or source not in counts.detections:
            continue
        if works(target, hits):
            continue
        remaps[target] = ClassRemap(source, target, hits, counts.boxes.get(target, 0))
    unseen = {
        k: target
        for target, k in rule.sources.items()
        if k != target and k not in counts.detections and target not in remaps and not works(target, 0)
    }
    share = support.hits / support.covered
    return LabelFault(dict(sorted(remaps.items())), None, rule_share=share, unseen=unseen)


def as_written(meant: Mapping[int, int], settled: Mapping[int, int]) -> dict[int, int]:
    """What the detector's own ids mean, from what those of its predictions do.

    Args:
        meant: classes by the predictions' ids.
        settled: the predictions' ids by those that the detector writes, where they are not the same.
    """
    other = {k: target for k, target in meant.items() if k not in settled and k not in settled.values()}
    return dict(sorted(({written: meant.get(k, k) for written, k in settled.items()} | other).items()))


def label_map_of(fault: LabelFault, names: Mapping[int, str], settled: Mapping[int, int]) -> dict[int, str]:
    """The class that each id that the detector writes means, where each class has one id."""
    meant = as_written(fault.category_map, settled)
    own = {k: name for k, name in names.items() if k not in meant and k not in meant.values()}
    return own | {source: names[target] for source, target in meant.items() if target in names}


def miscounted(
    used: Collection[int], names: Mapping[int, str], class_lists: Mapping[str, Mapping[int, str]]
) -> list[str]:
    """Sentences on other numbers of classes than the data set's: of ids in use, and of other lists of classes.

    Args:
        used: the class ids that detections carry.
        names: the data set's classes by id.
        class_lists: classes by id as other files list them, by what they are called.
    """
    known = sorted(names)
    strange = sorted(set(used) - set(names))
    sentences = []
    if strange and known:
        ids = sorted(used)
        hint = ""
        if len(known) < ids[-1] - ids[0] + 1 == len(ids):
            hint = "; one more than classes: the background may have an id" if len(ids) == len(known) + 1 else ""
        elif ids[-1] - ids[0] < len(known) <= known[-1] - known[0]:
            hint = "; they run through where the data set's have gaps: positions, not ids"
        listed = ", ".join(map(str, strange[:_SHOWN_IDS])) + (", ..." if len(strange) > _SHOWN_IDS else "")
        sentences.append(
            f"the detections carry {len(ids)} class ids, {ids[0]} to {ids[-1]}, and the data set has {len(known)}"
            f" classes, {known[0]} to {known[-1]}; not among its ids: {listed}{hint}"
        )
    sentences += [
        f"the {words} has {len(there)} classes, the data set {len(known)}"
        for words, there in class_lists.items()
        if len(there) != len(known)
    ]
    return sentences


_SHOWN_IDS = 8


def key_of(name: str) -> str:
    """A class name without what writers differ in: case, underscores, spaces."""
    return " ".join(name.casefold().replace("_", " ").split())
