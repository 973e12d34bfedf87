"""The flow of counter-tests that run the detector again, on a sample of the pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from detray.diagnose.cause import number
from detray.diagnose.counter_tests.catalogue import MODEL_BY_CAUSE
from detray.diagnose.counter_tests.counter_test import Claim
from detray.diagnose.counter_tests.model_test import Again, Before, Light
from detray.diagnose.counter_tests.outcome import CounterTested, Tested
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.request import ModelAtHand
from detray.diagnose.steps.again import CHOOSE, DETECT_AGAIN, MEASURE, AgainTask, AgainWork, Choosing
from detray.diagnose.steps.confirm import averaged
from detray.diagnose.steps.sources import DetectionSource
from detray.diagnose.steps.work import Work
from detray.flow.flow import Flow
from detray.flow.kept import Kept
from detray.store import ShardKey

MOST_RUNS = 6
"""Of the detector, each with other settings or pictures, for one split."""
MOST_MEASURED = 32
"""Pictures of the training split whose light is measured."""


@dataclass(frozen=True)
class Run:
    """The detector, run once more on some pictures, and what that tests."""

    again: Again
    images: Kept
    n: int
    claims: list[Claim]

    @property
    def most(self) -> float:
        """AP that the claims say, the most of any."""
        return max(claim.d_ap or 0.0 for claim in self.claims)


@dataclass(frozen=True)
class Rerunning:
    """Counter-tests of a split that run the detector.

    Attributes:
        flow, work: of the diagnosis.
        prefix: starts the keys of the tasks.
        keys: of the shards.
        source: the detections as given.
        faults: between the files.
        model: the detector; None: the detections came from a file.
        train: the training split, if there is one.
    """

    flow: Flow
    work: Work
    prefix: str
    keys: tuple[ShardKey, ...]
    source: DetectionSource
    faults: MappingFaults
    model: ModelAtHand | None
    train: str | None

    def run(self, claims: Sequence[Claim]) -> Tested:
        """What comes of the counter-tests of these claims, or why they were not run."""
        if self.model is None:
            return _untested(claims, "needs the model, and the detections came from a file")
        if self.work.split not in self.model.pictured:
            return _untested(claims, "needs pictures")
        tested: Tested = {}
        runs: list[Run] = []
        for cause in dict.fromkeys(claim.cause for claim in claims):
            runs += self._runs(cause, [claim for claim in claims if claim.cause == cause], self.model, tested)
        runs.sort(key=lambda run: -run.most)
        for run in runs[MOST_RUNS:]:
            tested |= _untested(run.claims, f"{MOST_RUNS} other runs of the detector can regain more")
        runs = runs[:MOST_RUNS]
        if runs:
            times, n = number(len(runs), "time", "times"), max(run.n for run in runs)
            self.flow.progress.note(f"counter-tests: the detector runs {times} on up to {n} pictures")
        for place, run in enumerate(runs):
            tested |= self._run(f"{self.prefix}-{place:02d}", run, self.model)
        return tested

    def _runs(self, cause: str, claims: list[Claim], model: ModelAtHand, tested: Tested) -> Iterator[Run]:
        """The runs that test a cause; claims that none can test are put into ``tested``."""
        test = MODEL_BY_CAUSE[cause]
        classes = tuple(claim.category for claim in claims)
        choosing = Choosing(self.keys, classes, self.work.settings.confirm_images)
        chosen = self.flow.reduce(CHOOSE, self.work, choosing, f"{self.prefix}-{cause}")
        images = chosen["images"]
        before = Before(model.work.predict, "", chosen.facts.width, chosen.facts.height)
        if test.needs_light:
            before = replace(before, light=self._light(images, cause), light_in_training=self._trained(model))
        runs: list[Run] = []
        for claim in claims:
            again = test.again(claim, replace(before, name=self.work.names.get(claim.category, "")))
            if not chosen.facts.n or isinstance(again, str):
                tested |= _untested([claim], again if isinstance(again, str) else "needs pictures")
            elif alike := next((run for run in runs if run.again == again), None):
                alike.claims.append(claim)
            else:
                runs.append(Run(again, images, chosen.facts.n, [claim]))
        yield from runs

    def _light(self, images: Kept, key: str) -> Light | None:
        return self.flow.reduce(MEASURE, self.work, images, f"{self.prefix}-{key}").facts.light

    def _trained(self, model: ModelAtHand) -> Light | None:
        """The light of training pictures; None where there are none."""
        if self.train is None or self.train == self.work.split or self.train not in model.pictured:
            return None
        there, key = replace(self.work, split=self.train), f"{self.prefix}-{self.train}"
        choosing = Choosing(tuple(self.flow.data.shards([self.train])), (), MOST_MEASURED)
        chosen = self.flow.reduce(CHOOSE, there, choosing, key)
        return self._light(chosen["images"], self.train)

    def _run(self, key: str, run: Run, model: ModelAtHand) -> Tested:
        task = AgainTask(run.images, self.keys, self.source, self.faults, tuple(run.claims))
        found = self.flow.reduce(DETECT_AGAIN, AgainWork(self.work, model.work, run.again), task, key)
        aps = averaged(self.flow, self.work, key, [found["tried"]], found.facts.boxes, 2 * len(run.claims))
        test = MODEL_BY_CAUSE[run.claims[0].cause]
        words = f"{run.again.words}, on {number(run.n, 'picture', 'pictures')}"
        return {
            (claim.category, claim.cause): CounterTested(
                words,
                aps[2 * place],
                aps[2 * place + 1],
                denies=test.denies,
                refutes=test.refutes,
                measures=test.measures,
            )
            for place, claim in enumerate(run.claims)
        }


def _untested(claims: Sequence[Claim], why: str) -> Tested:
    return {(claim.category, claim.cause): CounterTested(untested=why) for claim in claims}
