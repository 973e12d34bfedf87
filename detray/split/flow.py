"""``detray split``: training, validation and test from one set of annotations, without a scene on two sides."""

import shlex

from detray.flow.flow import Flow
from detray.flow.outcome import Outcome, Table
from detray.settings import to_yaml
from detray.split.steps import DATASET, DESCRIBE, DIVIDE, WRITE, Divided, DivideWork, Part, Whole

MAX_NAMED = 8


def split(flow: Flow, work: DivideWork, folder: str) -> Outcome:
    """Divide the data set and write each part in its own format.

    Args:
        flow: where it runs.
        work: settings and data.
        folder: of the stage, as configurations state it.
    """
    divided = flow.reduce(DIVIDE, work, None)
    facts = divided.facts
    parts = {name: Part(name, divided["images"], divided["annotations"]) for name in facts.parts}
    written = flow.map(WRITE, work, parts)
    dataset = {
        "root": work.root,
        "also": [*work.also, folder],
        "label_map": work.label_map,
        "splits": {name: written[name].facts.split for name in facts.parts},
    }
    text = "# The data set in parts that share no scene.\n" + to_yaml(
        {"name": f"{work.run}-split", "output": f"out/{work.run}-split", "dataset": dataset}
    )
    flow.reduce(DESCRIBE, work, Whole(tuple(facts.parts), divided["images"], text))
    return _outcome(facts, work, folder)


def _outcome(facts: Divided, work: DivideWork, folder: str) -> Outcome:
    total = sum(facts.images)
    rows = [
        [name, images, images / max(total, 1), boxes, groups]
        for name, images, boxes, groups in zip(facts.parts, facts.images, facts.boxes, facts.groups, strict=True)
    ]
    boxes = [f"boxes {name}" for name in facts.parts]
    others = " and ".join(facts.parts[1:])
    return Outcome(
        counts={"in": total, "kept": total, "quarantined": 0},
        facts={"dataset": f"split/{DATASET}", "images": dict(zip(facts.parts, facts.images, strict=True))},
        seeds={"split": work.settings.seed},
        summary=[
            Table("Parts", ("part", "images", "share", "boxes", "groups"), rows),
            Table(
                f"Drift of {others} from {facts.parts[0]} (distance of box sizes, effect of the shares of images)",
                ("class", *boxes, "sizes", "shares", "drift"),
                facts.drift,
            ),
        ],
        notes=list(_notes(facts)),
        next_step=f"run with the new parts: detray run --config {shlex.quote(f'{folder}/{DATASET}')}",
    )


def _notes(facts: Divided) -> list[str]:
    by = " and ".join(facts.by)
    notes = [f"{facts.held:,} of {sum(facts.images):,} images stay with others, by {by or 'their files'}"]
    if facts.seen < sum(facts.images):
        unseen = sum(facts.images) - facts.seen
        notes.append(f"{unseen:,} pictures were not seen: that they are near-duplicates of others is not known")
    for name, classes in facts.lacking.items():
        if classes:
            more = f" and {len(classes) - MAX_NAMED} more" if len(classes) > MAX_NAMED else ""
            notes.append(f"{name} has nothing of {', '.join(classes[:MAX_NAMED])}{more}: too few groups hold it")
    if facts.repeated:
        notes.append(f"{facts.repeated:,} images stand in several splits; each is in one part, once")
    if facts.orphans:
        notes.append(f"{facts.orphans:,} annotations of no image are in no part")
    return notes
