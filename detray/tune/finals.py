"""The finals: the search's best trials and the baseline, trained again on the same fresh seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from detray.tune.proof import Proof, Runs, prove
from detray.tune.search import Search
from detray.tune.trial import End, Judgement, Trial, as_array


@dataclass(frozen=True)
class Candidate:
    """A finalist, how it and the baseline did, and what that proves.

    ``seeds`` are the fresh seeds on which both ended whole; without any, the runs are those of the
    search, which prove nothing.
    """

    trial: Trial
    seeds: tuple[int, ...]
    baseline: Runs
    runs: Runs
    proof: Proof


def fresh_seeds(search: Search) -> list[int]:
    """The seeds of the finals: those after the search's."""
    first = search.space.baseline.seed + 1
    return [(first + step) % 2**31 for step in range(search.settings.proof_seeds)]


def finals(search: Search) -> dict[str, Trial]:
    """The trials of the finals by id: nothing where no trial of the search came through."""
    finalists = search.finalists()
    found = [
        _again(trial, seed) for seed in fresh_seeds(search) if finalists for trial in (search.baseline, *finalists)
    ]
    return {trial.trial_id: trial for trial in found}


def baseline_finals(search: Search) -> dict[str, Trial]:
    """Those of the baseline, which are the same whoever the finalists are."""
    found = [_again(search.baseline, seed) for seed in fresh_seeds(search)]
    return {trial.trial_id: trial for trial in found}


def _again(trial: Trial, seed: int) -> Trial:
    trial_id = f"proof-{trial.trial_id.removeprefix('search-')}-seed-{seed}"
    return Trial(trial_id, "proof", msgspec.structs.replace(trial.settings, seed=seed), trial.detector, own=trial.own)


def best_candidate(search: Search, ends: Mapping[str, End]) -> Candidate | None:
    """The finalist that won by most, or else gained most; None where there is none.

    ``ends`` are those of the finals by trial.
    """
    candidates = [_candidate(search, trial, ends) for trial in search.finalists()]
    return max(candidates, key=lambda found: (found.proof.is_win, float(found.proof.focus.delta[0])), default=None)


def _candidate(search: Search, trial: Trial, ends: Mapping[str, End]) -> Candidate:
    pairs = {
        seed: (ends[_again(search.baseline, seed).trial_id], ends[_again(trial, seed).trial_id])
        for seed in fresh_seeds(search)
    }
    whole = {seed: pair for seed, pair in pairs.items() if all(end.status == "completed" for end in pair)}
    whole = _different(whole)
    compared = list(whole.values()) or [(search.ends[search.baseline.trial_id], search.ends[trial.trial_id])]
    baseline, runs = (_runs([pair[side] for pair in compared]) for side in (0, 1))
    proof = prove(
        baseline, runs, search.bench.is_focus, search.settings.guard.max_drop, candidates=len(search.finalists())
    )
    return Candidate(trial, tuple(whole), baseline, runs, proof)


def _different(pairs: Mapping[int, tuple[End, End]]) -> dict[int, tuple[End, End]]:
    """Pairs of runs, of those that came to exactly the same the first: a trainer that is not told its seed, and has one
    of its own, repeats a run and proves nothing by it."""
    found: dict[int, tuple[End, End]] = {}
    for seed, pair in pairs.items():
        judged = [end.judgement for end in pair]
        is_at_zero = not any(any(one.ap) for one in judged if one is not None)
        if is_at_zero or all(judged != [end.judgement for end in other] for other in found.values()):
            found[seed] = pair
    return found


def _runs(ends: Sequence[End]) -> Runs:
    found = [end.judgement or Judgement(end.kept.ap, end.kept.ap50, []) for end in ends]
    left_out = [[as_array(row) for row in one.left_out] for one in found]
    return Runs(
        ap=np.stack([as_array(one.ap) for one in found]),
        ap50=np.stack([as_array(one.ap50) for one in found]),
        left_out=np.array(left_out, np.float64).reshape(len(ends), -1, len(found[0].ap)),
    )
