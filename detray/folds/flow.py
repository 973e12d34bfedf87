"""The flow of the folds: each detector is trained on the other folds, and labels are suspected by what it finds.

*Cut* shares the pictures of all splits out, copies together. *Train folds* leaves one fold out each time, and detects
in it. Then every split is looked at as a diagnosis looks at it, and its labels are suspected class by class.
"""

from detray.detectors.training.history import described
from detray.diagnose.settings import DiagnoseSettings
from detray.diagnose.steps.look import look_at_all
from detray.diagnose.steps.work import Work
from detray.flow.data import names_of
from detray.flow.epochs import Epochs
from detray.flow.flow import Flow, Results
from detray.flow.outcome import Outcome, Table
from detray.flow.step import Resources
from detray.folds.steps import (
    CUT,
    SUSPECT,
    TELL,
    Cut,
    Fold,
    FoldSource,
    FoldsWork,
    SomeClasses,
    SuspectCount,
    Suspecting,
    Told,
)

CLASSES_A_TASK = 16


def folds(flow: Flow, work: FoldsWork, gpus: float = 0) -> Outcome:
    """Suspect the labels of ``work.splits`` by detectors that have not seen them: ``predictions``, ``label_errors``.

    Args:
        flow: where it runs.
        work: settings and data.
        gpus: that each training holds.
    """
    cut = flow.reduce(CUT, work, None)
    tasks = {
        f"{number:02d}": Fold(number, cut["fold"], flow.workspace("folds").below(f"{number:02d}"))
        for number in range(work.n)
    }
    runs = {f"fold {task.number + 1} of {work.n}": task.workspace for task in tasks.values()}
    with Epochs(runs, work.settings.epochs, described, flow.progress):
        told = flow.map(TELL, work, tasks, resources=Resources(flow.cpus, gpus))
    found = [count for split in work.splits for count in _suspects(flow, work, split, told)]
    return _outcome(work, cut.facts, told, found)


def _suspects(flow: Flow, work: FoldsWork, split: str, told: Results[Told]) -> list[SuspectCount]:
    """Suspect the labels of one split."""
    names, keys = names_of(flow.data, split), tuple(flow.data.shards([split]))
    classes = tuple(sorted(names))
    own = Work(flow.data, work.run, work.detector.kind, DiagnoseSettings(), split, names, classes, {})
    parts = (tuple(told.kept(name).values()) for name in ("found", "unread"))
    seen = look_at_all(flow, own, keys, FoldSource(flow.data, split, None, *parts), split)
    tasks = {
        f"{split}-{start:05d}": SomeClasses(classes[start : start + CLASSES_A_TASK], seen.shards)
        for start in range(0, len(classes), CLASSES_A_TASK)
    }
    results = flow.map(SUSPECT, Suspecting(own, seen.counts, keys), tasks)
    return [count for facts in results.facts for count in facts.counts]


def _outcome(work: FoldsWork, cut: Cut, told: Results[Told], found: list[SuspectCount]) -> Outcome:
    images, unread = (sum(getattr(facts, name) for facts in told.facts) for name in ("images", "unread"))
    notes = [f"{cut.pictures:,} pictures in {work.n} folds; each detector learnt from all but one, and judged that one"]
    if cut.copies:
        notes.append(f"{cut.copies:,} pictures look like another: such are in one fold")
    return Outcome(
        counts={"in": images + unread, "kept": images, "quarantined": unread},
        facts={"folds": cut.folds, "label_errors": sum(count.suspects for count in found)},
        seeds={"train": work.settings.seed},
        summary=[
            Table(
                "Suspected labels",
                ("split", "class", "kind", "suspects", "likelier wrong than right"),
                [
                    [one.split, one.category_name, one.kind, one.suspects, one.likely]
                    for one in sorted(found, key=lambda one: (one.split, one.category_name or "", one.kind))
                ],
            )
        ],
        notes=notes,
    )
