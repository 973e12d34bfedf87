"""What a tuning says at its end."""

from typing import Any

import msgspec

from detray.flow.outcome import Table
from detray.tune import rows
from detray.tune.auto import UNASKED, Auto
from detray.tune.bench import Bench
from detray.tune.finals import Candidate
from detray.tune.search import Search
from detray.tune.space import in_words


def space_facts(auto: Auto | None) -> dict[str, Any]:
    """Each lever, whether it is searched and why; nothing where the space was written out."""
    return {} if auto is None else {"levers": msgspec.to_builtins(auto.levers), "second_trial": auto.arm}


def space_notes(auto: Auto | None) -> list[str]:
    """The same in sentences, levers that nothing asks for in one."""
    if auto is None:
        return []
    unasked = [lever.name for lever in auto.levers if lever.because == UNASKED]
    told = [lever.sentence for lever in auto.levers if lever.because != UNASKED]
    rest = [f"{', '.join(unasked)}: left alone because {UNASKED}"] if unasked else []
    return [*told, *rest, *([auto.arm] if auto.arm else [])]


def budget_notes(search: Search) -> list[str]:
    """What ended the search before its last trial."""
    ran, end = len(search.trials), search.budget.end
    is_cut = ran < search.size or any(end.status == "stopped" for end in search.ends.values())
    return [f"the search ended after {ran} of {search.size} trials: {end}"] if end and is_cut else []


def front_notes(search: Search) -> list[str]:
    """Which trials no other beats in AP and time both, and whom the time allowed leaves out; nothing where none was
    timed."""
    if not search.bench.is_timed:
        return []
    told = [
        f"{trial.trial_id} {search.objective(trial) or 0.0:.3f} in {search.milliseconds(trial) or 0.0:.3g} ms"
        for trial in search.front()
    ]
    most = search.settings.max_ms
    rule = "the winner is sought by objective alone" if most is None else f"finalists take at most {most:g} ms"
    return [f"no other trial is better and faster (objective, inference a picture): {', '.join(told)}; {rule}"]


def summary(search: Search, candidate: Candidate | None) -> list[Table]:
    """The trials, and what the finalist changed of each class."""
    return [trials_table(search), *([classes_table(search.bench, candidate)] if candidate is not None else [])]


def trials_table(search: Search) -> Table:
    """The trials of the search, and what each changed."""
    shown = []
    for trial, choice in zip(search.trials, search.choices, strict=True):
        end = search.ends[trial.trial_id]
        changed = in_words(search.space.changed(choice))
        shown.append(
            [
                trial.trial_id,
                changed or "as configured",
                search.objective(trial),
                end.kept_epoch,
                end.epochs,
                end.status,
                *([end.milliseconds] if search.bench.is_timed else []),
            ]
        )
    columns = ("trial", "changed", "objective", "best epoch", "epochs", "status")
    return Table("trials of the search", (*columns, *(["ms a picture"] if search.bench.is_timed else [])), shown)


def classes_table(bench: Bench, candidate: Candidate) -> Table:
    """The candidate against the baseline, class by class."""
    deltas = rows.class_deltas(bench, candidate).to_pylist()
    columns = ("category_name", "baseline_ap", "best_ap", "delta", "delta_low", "delta_high", "verdict")
    return Table(
        f"{candidate.trial.trial_id} against the baseline on {len(candidate.seeds)} fresh seeds",
        ("class", "AP before", "AP after", "change", "low", "high", "verdict"),
        [[row[column] for column in columns] for row in deltas],
    )
