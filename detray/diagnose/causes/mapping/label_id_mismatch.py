from collections.abc import Mapping
from typing import Any

from detray.diagnose.case import Case
from detray.diagnose.cause import MAPPING, Cause, Verdict, confidence, number, percent
from detray.diagnose.mapping.label_map import REMAP_SHARE, ClassRemap, LabelFault, as_written, key_of, label_map_of
from detray.diagnose.observation.counts import MIN_HITS, NIL_RECALL
from detray.formats.label_map import problems_of


class LabelIdMismatch(Cause):
    """The class's objects are found, under the id of another class that is not found itself.

    Tells: its boxes are hit (IoU .5) by detections with one other id, its own recall is nil, and so
    is that of the other id, or it has no boxes; an assignment over all classes names the mapping.
    Or one other numbering of all classes (shifted, by position, by the label map) explains what
    most boxes are labelled as: then it holds for the classes too that show it less.
    Or the annotations themselves are shifted against the list of classes in their own file.
    Or its recall is nil and the label map, the model's own classes, or the training annotations,
    give its id or its name to another class, or the label map lacks it.
    Source: Hungarian method (Kuhn, 1955) on the co-occurrence of true and predicted classes.
    Example: a label map that counts from 1 and a model that counts from 0; 80 outputs counted
    through where COCO's ids run from 1 to 90 with gaps.
    Remedy: map the ids of the detections with `predict.category_map`, or mend the label map.
    """

    name = "label_id_mismatch"
    group = MAPPING

    def judge(self, case: Case) -> Verdict | None:
        shifted, fault = case.split.faults.own_list, case.split.faults.labels
        if case.category in shifted or case.category in shifted.values():
            return _of_list(case, shifted)
        if fault is None or case.category not in fault.remaps or not len(case.given.boxes):
            return self._by_name(case)
        remap = fault.remaps[case.category]
        numbers = _numbering(case)
        shows_itself = remap.hits >= MIN_HITS and remap.hits >= REMAP_SHARE * remap.n
        sure = remap.hits / remap.n if shows_itself else fault.rule_share
        return Verdict(
            confidence=confidence(sure, REMAP_SHARE, 0.8),
            d_ap=case.mapping_gain,
            numbers={
                "hits": remap.hits,
                "n_ground_truth": remap.n,
                "own_recall": case.given.recall,
                "labelled_as": remap.source,
                "labelled_as_name": case.split.names.get(remap.source),
                "offset": fault.offset,
                "rule": fault.rule,
                "mapping": {str(source): target for source, target in fault.category_map.items()},
            }
            | numbers,
            sentence=_sentence(case, fault, remap, numbers, shows_itself=shows_itself),
            remedy="Map the class ids of the detections as written out here"
            + (
                "."
                if problems_of(label_map_of(fault, case.split.names, case.split.inputs.settled))
                else ", or mend the label map that the detector is used with (a corrected one is label_map.pbtxt beside"
                " the results)."
            ),
            config={"predict": {"category_map": as_written(fault.category_map, case.split.inputs.settled)}},
        )

    def _by_name(self, case: Case) -> Verdict | None:
        """What other lists of classes say of a class of which nothing is found."""
        if not len(case.given.boxes) or case.given.recall > NIL_RECALL or case.is_repaired:
            return None
        for source, names in case.split.inputs.class_lists.items():
            clash, other = _clash(case, names)
            if clash is None and source != "training annotations" and not len(case.given.detections):
                clash = "lacks it" if key_of(case.name) not in {key_of(name) for name in names.values()} else None
            if clash is not None:
                n_outputs = f" of {len(names)} classes, where the data set has {len(case.split.names)},"
                return Verdict(
                    confidence=0.6,
                    d_ap=None,
                    numbers={"own_recall": case.given.recall, "source": source, "clash": clash, "n_listed": len(names)},
                    sentence=f"Nothing of {case.label} is found, and the {source}"
                    f"{n_outputs if len(names) != len(case.split.names) else ''} {clash}.",
                    remedy="Give the class the same id and name in the data set, in training and in the label map.",
                    config=None if other is None else {"predict": {"category_map": {other: case.category}}},
                )
        return None


def _of_list(case: Case, shifted: Mapping[int, int]) -> Verdict:
    """The annotations are shifted against the list of classes in their own files."""
    names, used, listed = case.split.names, sorted(shifted), sorted(case.split.names)
    shift = shifted[used[0]] - used[0]
    pairs = [f"{k} is `{names[shifted[k]]}` (id {shifted[k]})" for k in used[:_PAIRS]]
    more = f" and {len(used) - _PAIRS} more" if len(used) > _PAIRS else ""
    n = len(case.given.boxes)
    wrong = f"; {number(n, 'box', 'boxes')} of id {case.category} are of another class" if n else ""
    return Verdict(
        confidence=1.0,
        d_ap=case.mapping_gain,
        numbers={
            "annotations_shifted_by": -shift,
            "annotated_ids": [used[0], used[-1]],
            "listed_ids": [listed[0], listed[-1]],
            "mapping": {str(k): meant for k, meant in shifted.items()},
        },
        sentence=f"The annotations count their classes from {used[0]} and the list of classes from {listed[0]}: every"
        f" class id of the annotations is shifted by {-shift:+d} against their own list ({', '.join(pairs)}{more})"
        f"{wrong}.",
        remedy=f"Add {shift} to each category_id of the annotations, or number the list of classes as they do;"
        " the detections go by the list and stay as they are.",
    )


_PAIRS = 8


def _sentence(
    case: Case, fault: LabelFault, remap: ClassRemap, numbers: Mapping[str, Any], *, shows_itself: bool
) -> str:
    label = case.split.label
    shared = fault.rule
    counted = f"; {_counted(numbers)}" if numbers else ""
    if shows_itself:
        works = "" if fault.rule_share else ", which finds none of its own"
        return (
            f"{remap.hits} of {remap.n} boxes of {case.label} are covered by detections labelled {label(remap.source)}"
            f"{works}{f'; {shared}' if shared else ''}{counted}."
        )
    return (
        f"Detections of {case.label} are labelled {label(remap.source)}: {shared}, as {percent(fault.rule_share)} of"
        f" the boxes of the classes show{counted}."
    )


def _numbering(case: Case) -> dict[str, Any]:
    """How many class ids the detections carry, where some are none of the data set's; else empty."""
    used, known = sorted(case.split.given.detections), sorted(case.split.names)
    if not used or not known or set(used) <= set(known):
        return {}
    return {
        "n_ids": len(used),
        "ids": [used[0], used[-1]],
        "n_classes": len(known),
        "class_ids": [known[0], known[-1]],
    }


def _counted(numbers: Mapping[str, Any]) -> str:
    (low, high), (first, last) = numbers["ids"], numbers["class_ids"]
    return (
        f"the detections carry {numbers['n_ids']} class ids, {low} to {high}, and the data set has"
        f" {numbers['n_classes']}, {first} to {last}"
    )


def _clash(case: Case, names: Mapping[int, str]) -> tuple[str | None, int | None]:
    """How other names of ids contradict the class's, and the id that they give it; None where they do not."""
    there = {key_of(name): k for k, name in sorted(names.items(), reverse=True)}
    other = there.get(key_of(case.name))
    if other is not None and other != case.category:
        return f"has `{case.name}` under id {other}", other
    if other is None and case.category in names:
        return f"has `{names[case.category]}` under id {case.category}", None
    return None, None
