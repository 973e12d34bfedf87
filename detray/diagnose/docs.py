"""The page ``docs/causes.md``, from the causes' docstrings and criteria."""

import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType

from detray.diagnose.catalogue import CAUSES
from detray.diagnose.cause import GROUPS, Cause
from detray.diagnose.counter_tests.catalogue import BY_CAUSE, MODEL_BY_CAUSE, why_none
from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.inputs import Input

SECTIONS = ("Tells", "Source", "Example", "Remedy")
"""What every cause's docstring says after its first line."""

_INPUTS = {
    Input.TRAINING_ANNOTATIONS: "training annotations (`--train`)",
    Input.TRAINING_DETECTIONS: "detections on training pictures (`predict.train_sample`, `--train-detections`)",
    Input.BASE_DETECTIONS: "detections of the base model (`--base-detections`)",
    Input.AUDIT: "the audit's findings",
}

_INTRODUCTION = """# Causes

What `detray diagnose` can say of a weak class. Causes of an earlier group stand above those of a later one; within a
group the one that costs more AP stands first, and one whose cost is not known last. `no_ground_truth` and `crowd_only`
stand first whenever they hold. A symptom that another cause explains is kept, at the end. AP regained is what the class
would have if this alone were mended, computed with the evaluation's own code; of faults between the files (the first
group) it is what mending all of them regains.

"At most" stands before an AP regained that is not known in advance (`d_ap_is_ceiling` in `diagnoses`): it is a ceiling,
what would be regained if nothing of the fault were left. So it is where the remedy is another training (groups 4 to 6),
and where it brings detections that are not at hand: those that a threshold or a cap of the detector left out. Where
these are settings, `predict.score_threshold` above .01 or `predict.max_detections` below 100, and the model and the
pictures are there, the detector runs again without them on a sample of `diagnose.confirm_images` pictures, asked for or
not, and AP regained is what comes of it.

With `--confirm` (`diagnose.confirm`) the remedies of each class's first three causes are tried, where that takes no
person and no training: the class is evaluated again from its boxes and detections, with the remedy applied and without
it, other faults between the files repaired in both. Where a setting of the detector or the pictures are the remedy, and
the model and the pictures are there, it runs again on a sample of `diagnose.confirm_images` pictures. The sentence ends
with what came of it, "Confirmed: AP 0.02 to 0.41", "Not confirmed: AP 0.02 to 0.03", or why it was not tested.
Confirmed causes stand before those not tested, and those not confirmed behind them. "Undecided" is one whose AP stays,
where that does not speak against the cause: the model may have to learn the remedy, or clean is sure of few of the
labels in question. A test confirms a cause where AP rises by at least a quarter of AP regained as told, and by .05, or
half of what is told where that is less, and no less than .01. Where what was tried is the whole remedy (a setting of
the detector, suppression of repeated detections) a quarter is not asked for, and AP regained is then what AP rose by.
"""


def parts(cause: Cause) -> dict[str, str]:
    """The first line of a cause's docstring under ``What``, and its sections by name."""
    text = inspect.cleandoc(type(cause).__doc__ or "")
    head, *rest = re.split(rf"^({'|'.join(SECTIONS)}): ", text, flags=re.MULTILINE)
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    return {name: " ".join(body.split()) for name, body in {"What": head, **sections}.items()}


def criteria(module: ModuleType) -> dict[str, Criterion]:
    """The criteria that a module states, not those that it imports, by name."""
    text = inspect.getsource(module)
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, Criterion) and f"\n{name} = Criterion(" in text
    }


def modules() -> Iterator[ModuleType]:
    """Every module of the diagnosis."""
    for module in pkgutil.walk_packages(import_module("detray.diagnose").__path__, "detray.diagnose."):
        yield import_module(module.name)


def page() -> str:
    """The page as Markdown."""
    return "\n".join([_INTRODUCTION, *_contents(), *(line for cause in CAUSES for line in _section(cause)), *_shared()])


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
    yield f"- **Counter-test**: {_counter_test(cause.name)}"
    if cause.inputs:
        yield f"- **Needs**: {' or '.join(_INPUTS[name] for name in cause.inputs)}"
    if cause.explains:
        yield f"- **Explains**: {', '.join(f'`{name}`' for name in cause.explains)}"
    yield ""
    yield from _table([criteria(sys.modules[type(cause).__module__])])


def _counter_test(cause: str) -> str:
    tests = [test for test in (BY_CAUSE.get(cause), MODEL_BY_CAUSE.get(cause)) if test is not None]
    told = [" ".join((inspect.getdoc(type(test)) or "").split()) for test in tests]
    return " ".join(told) or f"none: {why_none(cause)}"


def _shared() -> Iterator[str]:
    own = {type(cause).__module__ for cause in CAUSES}
    yield "## Thresholds that several causes share"
    yield ""
    yield from _table([criteria(module) for module in modules() if module.__name__ not in own])


def _table(stated: Sequence[dict[str, Criterion]]) -> Iterator[str]:
    rows = [f"| `{name}` | {value:g} | {value.source} |" for each in stated for name, value in each.items()]
    if rows:
        yield from ("| threshold | value | source |", "|---|---|---|", *rows, "")
