"""The page ``docs/causes.md``, from the causes' docstrings and the thresholds."""

import inspect
import re
from collections.abc import Iterator

from detray.diagnose import thresholds
from detray.diagnose.catalogue import CAUSES
from detray.diagnose.cause import GROUPS, Cause
from detray.diagnose.thresholds import Threshold

SECTIONS = ("Tells", "Source", "Example", "Remedy")
"""What every cause's docstring says after its first line."""

_INPUTS = {
    "training": "training annotations (`--train`)",
    "training_detections": "detections on the training split (`--train-detections`)",
    "base_detections": "detections of the base model (`--base-detections`)",
    "label_map": "a label map (`--label-map`)",
    "audit": "the audit's findings",
}

_INTRODUCTION = """# Causes

What `detray diagnose` can say of a weak class. Causes of an earlier group stand above those of a later one; within a
group the one that costs more AP stands first, and one whose cost is not known last. `no_ground_truth` and `crowd_only`
stand first whenever they hold. A symptom that another cause explains is kept, at the end. AP regained is what the class
would have if this alone were mended, computed with the evaluation's own code; of faults between the files (the first
group) it is what mending all of them regains.
"""


def parts(cause: Cause) -> dict[str, str]:
    """The first line of a cause's docstring under ``What``, and its sections by name."""
    text = inspect.cleandoc(type(cause).__doc__ or "")
    head, *rest = re.split(rf"^({'|'.join(SECTIONS)}): ", text, flags=re.MULTILINE)
    found = dict(zip(rest[::2], rest[1::2], strict=True))
    return {name: " ".join(body.split()) for name, body in {"What": head, **found}.items()}


def page() -> str:
    """The page as Markdown."""
    return "\n".join(
        [_INTRODUCTION, *_contents(), *(line for cause in CAUSES for line in _section(cause)), *_numbers()]
    )


def _contents() -> Iterator[str]:
    yield "| group | causes |"
    yield "|---|---|"
    for number, words in GROUPS.items():
        names = ", ".join(f"[{cause.name}](#{cause.name})" for cause in CAUSES if cause.group == number)
        yield f"| {number}. {words} | {names} |"
    yield ""


def _section(cause: Cause) -> Iterator[str]:
    text = parts(cause)
    yield f"## {cause.name}"
    yield ""
    yield text["What"]
    yield ""
    for name in SECTIONS:
        yield f"- **{name}**: {text[name]}"
    if cause.inputs:
        yield f"- **Needs**: {' or '.join(_INPUTS[name] for name in cause.inputs)}"
    if cause.explains:
        yield f"- **Explains**: {', '.join(f'`{name}`' for name in cause.explains)}"
    yield ""


def _numbers() -> Iterator[str]:
    yield "## Thresholds"
    yield ""
    yield "| name | value | source |"
    yield "|---|---|---|"
    for name, value in vars(thresholds).items():
        if isinstance(value, Threshold):
            yield f"| `{name}` | {value:g} | {value.source} |"
    yield ""
