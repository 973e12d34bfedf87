"""What rules on a pipeline.config share: the classes that have boxes, and how a finding names the file."""

from collections.abc import Iterator

from detray.audit.pipeline import StatedPipeline
from detray.audit.rule import Fact
from detray.audit.summary import Summary


def told(
    pipeline: StatedPipeline,
    about: str,
    observed: str,
    fix: str,
    *,
    severity: int | None = None,
    count: int | None = None,
    threshold: str | None = None,
) -> Fact:
    """A finding about the file; ``about`` tells apart several of one rule."""
    return Fact(
        None,
        observed,
        share=about,
        source_file=pipeline.file.path,
        fix=fix,
        severity=severity,
        count=count,
        threshold=threshold,
    )


def boxed_classes(data: Summary) -> Iterator[tuple[str, int, str | None, int]]:
    """Split, category_id, name if it has one, and boxes of each class with boxes, also of those that no list has."""
    for split in data.splits:
        for category_id, name in data.stated[split].items():
            boxes = data.boxes[split].get(category_id, 0)
            if boxes:
                yield split, category_id, name, boxes
