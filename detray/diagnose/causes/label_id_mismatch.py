from collections.abc import Mapping

from detray.diagnose import cause
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict


class LabelIdMismatch:
    """The class's objects are found, under the id of another class that is not found itself.

    Tells: its boxes are hit (IoU .5) by detections with one other id, its own recall is nil, and so
    is that of the other id, or it has no boxes; an assignment over all classes names the mapping.
    Or its recall is nil and the label map, or the training annotations, give its id or its name to
    another class, or the label map lacks it.
    Source: Hungarian method (Kuhn, 1955) on the co-occurrence of true and predicted classes.
    Example: a label map that counts from 1 and a model that counts from 0.
    Remedy: map the ids as the corrected label map says.
    """

    name = "label_id_mismatch"
    group = cause.MAPPING
    inputs = ()
    explains = ()

    def judge(self, case: Case) -> Verdict | None:
        fault = case.around.faults.labels
        if fault is None or case.category not in fault.remaps:
            return self._by_name(case)
        remap = fault.remaps[case.category]
        label = case.around.label
        shared = (
            f"; every class id of the detections is shifted by {fault.offset:+d}"
            if fault.offset is not None and fault.offset == remap.source - remap.target
            else f"; {len(fault.remaps)} classes are mapped wrongly in all"
            if len(fault.remaps) > 1
            else ""
        )
        return Verdict(
            confidence=cause.confidence(remap.hits / remap.n, t.REMAP_SHARE, 0.8),
            d_ap=case.mapping_gain,
            numbers={
                "hits": remap.hits,
                "n_ground_truth": remap.n,
                "own_recall": case.given.recall,
                "labelled_as": remap.source,
                "labelled_as_name": case.around.names.get(remap.source),
                "offset": fault.offset,
                "mapping": {str(source): target for source, target in sorted(fault.classes.items())},
            },
            sentence=f"{remap.hits} of {remap.n} boxes of {case.label} are covered by detections labelled"
            f" {label(remap.source)}, which finds none of its own{shared}.",
            remedy="Map the class ids of the detections to the data set's as written out here, or mend the label map.",
            config={
                "label_map": {
                    source: case.around.names.get(target, str(target))
                    for source, target in sorted(fault.classes.items())
                }
            },
        )

    def _by_name(self, case: Case) -> Verdict | None:
        """What the label map and the training annotations say of a class of which nothing is found."""
        if not len(case.given.boxes) or case.given.recall > t.NIL_RECALL or case.is_repaired:
            return None
        training = case.around.outside.training
        for source, names in (
            ("label map", case.around.outside.label_map),
            ("training annotations", training.names if training is not None else None),
        ):
            clash = _clash(case, names) if names else None
            if clash is None and source == "label map" and names and not len(case.given.found):
                clash = "lacks it" if _key(case.name) not in {_key(name) for name in names.values()} else None
            if clash is not None:
                return Verdict(
                    confidence=0.6,
                    d_ap=None,
                    numbers={"own_recall": case.given.recall, "source": source, "clash": clash},
                    sentence=f"Nothing of {case.label} is found, and the {source} {clash}.",
                    remedy="Give the class the same id and name in the data set, in training and in the label map.",
                    config={"label_map": dict(sorted(case.around.names.items()))},
                )
        return None


def _clash(case: Case, names: Mapping[int, str]) -> str | None:
    """How other names of ids contradict the class's; None where they do not."""
    there = {_key(name): k for k, name in sorted(names.items(), reverse=True)}
    other = there.get(_key(case.name))
    if other is not None and other != case.category:
        return f"has `{case.name}` under id {other}"
    if other is None and case.category in names:
        return f"has `{names[case.category]}` under id {case.category}"
    return None


def _key(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())
