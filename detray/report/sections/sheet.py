"""One printed sheet: what was wrong, what was done, what it gained, and how sure that is."""

from collections import Counter

from detray.report.reader import Reader
from detray.report.sections.common import Content

MAX_ROWS = 6
MAX_CLASSES = 14
"""Classes whose AP is drawn."""
_DONE = {
    "drop": "dropped",
    "clip": "cut at the picture's edge",
    "relabel": "given another class",
    "move": "given another box",
    "add": "added",
    "renumber": "given a new id",
}
"""What was done to annotations, by action."""


def build(reader: Reader, content: Content) -> Content:
    """What the sheet says, from the sections that are built already."""
    answer, tuning = content["answer"], content["tuning"]
    edits = Counter({row["action"]: row["n"] for row in reader.counts("edits", ("action",))})
    deltas = [row for row in (tuning["forest"]["rows"] if tuning and tuning["forest"] else []) if row["is_focus"]]
    tests = [
        {"name": row["name"], "ap": row["ap"], "words": cause["words"], "tested": cause["counter_test_ap"]}
        for row in (answer["weak"] or [])
        for cause in row["causes"]
        if cause["counter_test"] == "confirmed" and cause["counter_test_ap"] is not None
    ]
    evaluate = reader.manifest("evaluate") or {}
    return {
        "weak": answer["weak"][:MAX_ROWS],
        "weak_left_out": max(answer["n_weak"] - MAX_ROWS, 0),
        "rules": [
            {
                "rule": rule["rule"],
                "total": rule["total"],
                "example": (rule["examples"] + rule["general"])[0]["message"],
            }
            for rule in answer["worst_rules"][:MAX_ROWS]
        ],
        "suspects": content["evaluated"][0]["suspects"] if content["evaluated"] else None,
        "classes": _classes(content),
        "measured": _measured(content),
        "edits": [(_DONE[action], n) for action, n in sorted(edits.items())],
        "sentence": tuning["sentence"] if tuning else None,
        "n_trials": tuning["n_trials"] if tuning else 0,
        "seconds": tuning["seconds"] if tuning else None,
        "deltas": deltas[:MAX_ROWS],
        "seeds": max((row["seeds"] or 0 for row in deltas), default=0),
        "tests": tests[:MAX_ROWS],
        "created": (evaluate.get("created") or "")[:10],
        "noise": content["evaluated"][0]["metrics"]["noise"] if content["evaluated"] else [],
    }


def _classes(content: Content) -> list[Content]:
    """The weakest classes of the first evaluation that were measured."""
    if not content["evaluated"]:
        return []
    return [row for row in content["evaluated"][0]["metrics"]["classes"] if row["ap"] is not None][:MAX_CLASSES]


def _measured(content: Content) -> Content | None:
    """The split that the first evaluation is about, and how much it holds."""
    if not content["evaluated"] or content["dataset"] is None:
        return None
    split = content["evaluated"][0]["metrics"]["evaluation"].split
    return next((row for row in content["dataset"]["splits"] if row["split"] == split), None)
