"""The flow of counter-tests: which diagnoses are tested, and the tables as the tests leave them."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from detray.diagnose.counter_tests.catalogue import BY_CAUSE, MEASURED, MODEL_BY_CAUSE, why_none
from detray.diagnose.counter_tests.counter_test import Claim, Edits
from detray.diagnose.counter_tests.label_edits import LabelsEdited, edits_of
from detray.diagnose.counter_tests.outcome import TESTED, CounterTested, Tested
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.request import ModelAtHand
from detray.diagnose.rerun import Rerunning
from detray.diagnose.steps.classes import Judged, Shown
from detray.diagnose.steps.confirm import SETTLE, TRY, Settling, TryShard, averaged
from detray.diagnose.steps.sources import DetectionSource
from detray.diagnose.steps.work import Work
from detray.flow.flow import Flow, Results
from detray.settings import parse_yaml
from detray.store import ShardKey


@dataclass(frozen=True)
class Confirming:
    """The counter-tests of a split.

    Attributes:
        flow, work: of the diagnosis.
        prefix: starts the keys of the tasks.
        keys: of the shards.
        source, renamed: the detections as given, and under the images that they mean.
        faults: between the files.
        model: the detector, where it can be run.
        train: the training split, if there is one.
    """

    flow: Flow
    work: Work
    prefix: str
    keys: tuple[ShardKey, ...]
    source: DetectionSource
    renamed: DetectionSource
    faults: MappingFaults
    model: ModelAtHand | None = None
    train: str | None = None

    @property
    def tests_all(self) -> bool:
        """Whether all first causes are tested, else only what settings of predict are at fault for."""
        return self.work.settings.confirm

    def run(self, judged: Results[Judged]) -> list[Shown]:
        """Test the first causes of each class, and write the diagnoses; what is shown of them."""
        tested: Tested = {}
        claims: list[Claim] = []
        of_model: list[Claim] = []
        label_errors = pa.concat_tables([kept.read() for kept in judged.kept("label_errors").values()])
        for result in judged.values():
            for claim in claims_of(result["diagnoses"].read().to_pylist(), label_errors, self.work.max_detections):
                if not self.tests_all and claim.cause not in MEASURED:
                    continue
                test = BY_CAUSE.get(claim.cause)
                untested = why_none(claim.cause) if test is None else test.obstacle(claim)
                if untested is None:
                    claims.append(claim)
                elif claim.cause in MODEL_BY_CAUSE:
                    of_model.append(claim)
                else:
                    tested[claim.category, claim.cause] = CounterTested(untested=untested)
        tested |= self._tried(claims) | self._run_again(of_model)
        tasks = {
            key: Settling(
                result["diagnoses"], tuple((*named, found) for named, found in tested.items()), self.tests_all
            )
            for key, result in judged.items()
        }
        return [row for facts in self.flow.map(SETTLE, self.work, tasks).facts for row in facts.shown]

    def _run_again(self, claims: Sequence[Claim]) -> Tested:
        """What comes of those that need another run of the detector."""
        again = Rerunning(
            self.flow, self.work, self.prefix, self.keys, self.renamed, self.faults, self.model, self.train
        )
        return again.run(claims)

    def _tried(self, claims: Sequence[Claim]) -> Tested:
        """What comes of the counter-tests of these claims."""
        if not claims:
            return {}
        own = tuple(claims)
        tasks = {
            f"{self.prefix}-{key.name}": TryShard(key, self.source, self.renamed, self.faults, own) for key in self.keys
        }
        matched = self.flow.map(TRY, self.work, tasks)
        boxes: Counter[int] = Counter()
        for facts in matched.facts:
            boxes.update(facts.boxes)
        tried = list(matched.kept("tried").values())
        aps = averaged(self.flow, self.work, self.prefix, tried, dict(boxes), 2 * len(claims))
        tested: Tested = {}
        for n, claim in enumerate(claims):
            test = BY_CAUSE[claim.cause]
            before, after = aps[2 * n], aps[2 * n + 1]
            found = CounterTested(test.done(claim), before, after, denies=test.denies(claim), measures=test.measures)
            tested[claim.category, claim.cause] = found
        return tested


def claims_of(rows: Sequence[Mapping[str, Any]], label_errors: pa.Table, cap: int) -> Iterator[Claim]:
    """The first causes of each class, as counter-tests take them.

    Args:
        rows: of ``diagnoses``.
        label_errors: of all classes.
        cap: detections that the evaluation takes an image and class.
    """
    for row in rows:
        if row["rank"] > TESTED:
            continue
        config = parse_yaml(row["remedy_config"] or "{}", "remedy_config")
        test, edits = BY_CAUSE.get(row["cause"]), Edits.none()
        if isinstance(test, LabelsEdited) and "clean" in config:  # labels of training are none of this split
            edits = edits_of(label_errors, test.kind, row["category_id"], config["clean"]["min_score"])
        yield Claim(row["category_id"], row["cause"], row["d_ap"], json.loads(row["evidence"]), config, cap, edits)
