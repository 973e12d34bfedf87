"""What came of a tuning: what changed, what it gained, how sure that is, and on which pictures."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from detray.detectors.settings import DetectorSettings
from detray.pipeline.read import PipelineFile
from detray.pipeline.remedies import apply_settings, remedy_lines
from detray.tune.dotted import DETECTOR
from detray.tune.finals import Candidate
from detray.tune.search import Search
from detray.tune.space import in_words

SIDES = ("input_height", "input_width")
LEAST_SAID = 0.001
"""A probability below it is said to be that."""


def sentence(search: Search, candidate: Candidate | None, split: str) -> str:
    """What came of it; ``split`` is what the proof was judged on, in words."""
    if candidate is None:
        return "no trial but the baseline ran to its end: best/ holds the baseline"
    name = f"{candidate.trial.trial_id} ({in_words(changes(search, candidate))})"
    seeds = len(candidate.seeds)
    if seeds < 2:
        return f"{name} is best on the search's seed, which proves nothing: best/ holds the baseline"
    focus = candidate.proof.focus
    gain = (
        f"AP of {_classes(search)} {focus.delta[0]:+.3f}, 95% interval [{focus.low[0]:+.3f}, {focus.high[0]:+.3f}],"
        f" over {seeds} fresh seeds, judged on {_judged_on(split)}"
    )
    if candidate.proof.is_win:
        chance = _chance(float(focus.chance_below(0.0)[0]))
        return f"{name} wins: {gain}; that it gains nothing has a probability of {chance}{_guard(search, candidate)}"
    if focus.low[0] > 0:
        guard = _guard(search, candidate)
        return f"{name} gains: {gain}; but another class may have fallen{guard}; best/ holds the baseline"
    return f"{name} is not distinguishable from the baseline: {gain}; best/ holds the baseline"


def next_step(search: Search, candidate: Candidate | None, again: str) -> str | None:
    """What to do where nothing has won, ``again`` the command that tunes once more; None where something has."""
    if candidate is None:
        return "the column error of the table trials says why trials failed"
    seeds = len(candidate.seeds)
    if seeds < 2:
        return f"{again} --set tune.proof_seeds=4: proves what is best on fresh seeds"
    if candidate.proof.is_win:
        return None
    focus, more = candidate.proof.focus, f"{again} --set tune.proof_seeds={2 * seeds}"
    if focus.low[0] > 0:
        return f"{more}: more fresh seeds tell whether another class falls (tune.guard.max_drop is what it may lose)"
    if focus.delta[0] > 0:
        return f"{more}: more fresh seeds tell whether the gain of {focus.delta[0]:.3f} is chance"
    return (
        "the remedies of diagnose that no search can try, of pictures and labels, as nothing that was tried helps;"
        f" or {again} --trials {2 * search.settings.trials}: tries more"
    )


def changes(search: Search, candidate: Candidate) -> Mapping[str, Any]:
    """The settings in which the candidate differs from the baseline, by dotted name."""
    return search.space.changed(search.choices[search.trials.index(candidate.trial)])


def _classes(search: Search) -> str:
    names = search.bench.focus_names
    return names[0] if len(names) == 1 else f"the focus classes ({', '.join(names)}), the mean,"


def _judged_on(split: str) -> str:
    return f"{split}, which the search saw too" if split == "val" else f"{split}, which the search did not see"


def _guard(search: Search, candidate: Candidate) -> str:
    """The class that most probably fell by more than the guard allows."""
    fell = np.where(search.bench.is_focus, np.nan, candidate.proof.fell)
    if np.isnan(fell).all():
        return ""
    worst = int(np.nanargmax(fell))
    name = search.bench.classes[search.bench.class_ids[worst]]
    drop = search.settings.guard.max_drop
    return f"; of the other classes {name} is the likeliest to have lost over {drop:g}: {_chance(fell[worst])}"


def _chance(chance: float) -> str:
    return f"under {LEAST_SAID:.1%}" if chance < LEAST_SAID else f"{chance:.1%}"


def as_pipeline(file: PipelineFile, changed: Mapping[str, Any], detector: DetectorSettings) -> tuple[str, list[str]]:
    """A pipeline.config with the winner's settings as far as it has fields for them, and the lines that differ, with
    comments on the rest."""
    settings = {name.removeprefix(DETECTOR): value for name, value in changed.items()}
    if settings.keys() & set(SIDES):
        settings |= {side: getattr(detector, side) for side in SIDES}
    rest = {name: [value] for name, value in settings.items() if name not in SIDES}
    if SIDES[0] in settings:
        rest["input"] = [{"height": settings[SIDES[0]], "width": settings[SIDES[1]]}]
    return apply_settings(file.text, settings), remedy_lines(file, rest)
