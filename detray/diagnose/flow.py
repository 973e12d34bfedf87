"""The flow of the diagnosis: what is wrong with each weak class, and which boxes the detections contradict.

*Look* matches each shard and keeps its rows by class. Where a sample of the images tells of faults of ids and
formats, these are searched, and the shards are looked at again with them repaired. *Classes* judges the
causes class by class. Detections that come from a file are looked at as they were written where the evaluation
leaves some out: negative sizes and unknown images are what tells of wrong formats and ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.diagnose.cause import number
from detray.diagnose.confirm import Confirming
from detray.diagnose.evidence.inputs import Inputs
from detray.diagnose.gather import Gathered, gather, own_names
from detray.diagnose.mapping.box_encoding import RECALL_RAISE
from detray.diagnose.mapping.label_map import find_remaps, label_map_of, miscounted
from detray.diagnose.mapping.pairing import SAMPLE_IMAGES
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.rank import not_looked_for
from detray.diagnose.request import Request
from detray.diagnose.steps.classes import JUDGE, Judged, Judging, SomeClasses
from detray.diagnose.steps.look import Round, SampledImage, look_at_all
from detray.diagnose.steps.mapping import FORMATS, SEARCH, ClassSearch, SampleSearch
from detray.diagnose.steps.sources import DetectionSource, file_source, renamed_source
from detray.diagnose.steps.work import Work
from detray.diagnose.summary import summary
from detray.diagnose.weak import weak_classes
from detray.flow.data import Data, unseen_images
from detray.flow.flow import Flow, Results
from detray.flow.outcome import Outcome
from detray.flow.sample import spread
from detray.flow.step import NoFacts, Output, Step
from detray.formats.label_map import problems_of, write_label_map
from detray.store import Json, ShardKey
from detray.tables import shift_onto

CLASSES_A_TASK = 16
UNSEEN = ("nan-score", "not-finite-box", "unreadable-row", "score-out-of-range")
"""Reasons for which a row of a file of detections says nothing; others tell of wrong formats and ids."""


def write_map(classes: Mapping[int, str], name: str) -> Output[NoFacts]:
    """A label map as a file of the stage."""
    return Output(NoFacts(), files={name: write_label_map(classes).encode()})


LABEL_MAP: Step[Mapping[int, str], str, NoFacts] = Step("label-map", write_map, NoFacts, label="label map")


def diagnose(flow: Flow, request: Request) -> Outcome:
    """Diagnose the weak classes of some splits: tables ``diagnoses`` and ``label_errors``.

    Reads the data set, ``predictions``, and as far as they are there ``class_metrics`` and ``findings``.
    """
    outcome = Outcome()
    source: DetectionSource | None = None
    predicted = flow.data.manifest("predict") or {}
    if request.detections is not None and predicted.get("counts", {}).get("quarantined", 0):
        source, _ = file_source(flow, request.detections, request.splits[0], "detections", request.stated)
        outcome.notes += _unseen(predicted)
    metrics = _class_metrics(flow.data)
    for place, split in enumerate(request.splits):
        keys = flow.data.shards([split])
        if keys:
            outcome.notes += _left_out(flow.data, split)
            work = _work(flow.data, request, split, predicted, metrics)
            SplitDiagnosis(flow, request, work, f"s{place:03d}", tuple(keys)).run(
                source or DetectionSource(flow.data, split), metrics, outcome
            )
    if outcome.next_step is None:
        outcome.next_step = "nothing: no class is weak (diagnose.classes names some to look at all the same)"
    return outcome


def _unseen(predicted: Json) -> list[str]:
    """What to say of rows of the file that no cause can look at: those without a box, a score or an id."""
    left_out = predicted.get("facts", {}).get("left_out", {})
    listed = ", ".join(f"{reason} {left_out[reason]:,}" for reason in left_out if reason in UNSEEN)
    return [f"detections that no cause can look at, as if they were not there: {listed}"] if listed else []


def _left_out(data: Data, split: str) -> list[str]:
    """What to say of images that the detector has not seen."""
    n = unseen_images(data, ShardKey(0, split, None, None)).num_rows
    return [f"{split}: {n:,} images whose pictures could not be read are left out"] if n else []


def _class_metrics(data: Data) -> pa.Table:
    """AP of every class and split; no row where nothing could be evaluated."""
    columns = ("split", "category_id", "n_ground_truth", "ap", "ap50", "best_f1_threshold")
    n_predicted = sum(part["rows"] for part in data.files("predictions", "predict"))
    if data.manifest("evaluate") is None or not n_predicted:
        return schema.empty("class_metrics").select(columns)
    return data.read("class_metrics", columns=columns, filters=[("area_range", "=", "all")])


def _work(data: Data, request: Request, split: str, predicted: Json, metrics: pa.Table) -> Work:
    names = own_names(data, split)
    own = metrics.filter(pc.equal(metrics["split"], split)).to_pylist()
    aps = {row["category_id"]: (row["ap"], row["ap50"]) for row in own if row["n_ground_truth"]}
    weak = weak_classes(aps, names, request.settings)
    floors = {row["category_id"]: row["best_f1_threshold"] for row in own if row["category_id"] not in weak}
    known = {category: floor for category, floor in floors.items() if floor is not None}
    model = predicted.get("facts", {}).get("model", "detections")
    return Work(
        data,
        request.run,
        model,
        request.settings,
        split,
        names,
        tuple(weak),
        known,
        request.max_detections,
        pipeline=request.pipeline,
        is_tested=request.settings.confirm or request.model is not None,
    )


@dataclass(frozen=True)
class SplitDiagnosis:
    """The diagnosis of one split. ``prefix`` starts the keys of its tasks, ``keys`` are its shards."""

    flow: Flow
    request: Request
    work: Work
    prefix: str
    keys: tuple[ShardKey, ...]

    def run(self, source: DetectionSource, metrics: pa.Table, outcome: Outcome) -> None:
        """Add all that is found to ``outcome``."""
        given = look_at_all(self.flow, self.work, self.keys, source, f"{self.prefix}-given")
        capped = given.counts.beyond.keys() - set(self.work.weak)
        if capped:  # which a class need not be weak for to lose AP
            weak = tuple(sorted({*self.work.weak, *capped}))
            own = replace(self, work=replace(self.work, weak=weak, capped=frozenset(capped)), prefix=f"{self.prefix}-c")
            given = look_at_all(self.flow, own.work, self.keys, source, f"{own.prefix}-given")
            own.run_on(source, given, metrics, outcome)
        else:
            self.run_on(source, given, metrics, outcome)

    def run_on(self, source: DetectionSource, given: Round, metrics: pa.Table, outcome: Outcome) -> None:
        """The same, from a look at all shards as they are given."""
        work, names, split = self.work, self.work.names, self.work.split
        gathered = gather(self.flow, self.request, work, self.prefix, metrics, given)
        inputs = gathered.inputs
        faults, repaired, renamed = self._repaired(source, given, inputs)
        results = self._judged(given, repaired, faults, gathered)
        judged = results.facts
        if work.is_tested:
            tests = Confirming(
                self.flow,
                work,
                self.prefix,
                self.keys,
                source,
                renamed,
                faults,
                self.request.model,
                self.request.train,
            )
            shown = tests.run(results)
        else:
            shown = [row for facts in judged for row in facts.shown]
        suspects, likely = sum(facts.suspects for facts in judged), sum(facts.likely for facts in judged)
        detections = given.counts.detections
        outcome.counts["in"] = outcome.counts.get("in", 0) + sum(detections.values())
        tuned = sum(row.asks_to_tune for row in shown)
        weak = len(work.not_working)
        outcome.facts[split] = {"weak": weak, "diagnoses": len(shown), "tuned": tuned, "label_errors": suspects}
        table, lines, step = summary(split, shown, promotes=self.request.settings.confirm)
        outcome.summary.append(table)
        outcome.advice += lines
        outcome.next_step = outcome.next_step or step
        outcome.notes += gathered.notes
        outcome.notes.append(
            f"{split}: {number(len(work.not_working), 'class', 'classes')} diagnosed,"
            f" {number(suspects, 'label', 'labels')} suspected, {likely} of them likelier wrong than right"
        )
        outcome.notes += [f"{split}: {words}" for words in miscounted(detections, names, inputs.class_lists)]
        if work.weak:
            outcome.notes += [f"{split}: {words}" for words in not_looked_for(inputs)]
        if faults.labels is not None:
            name = "label_map.pbtxt" if len(self.request.splits) == 1 else f"label_map_{split}.pbtxt"
            classes = label_map_of(faults.labels, names, inputs.settled)
            problems = problems_of(classes)
            if problems:
                told = f"remedy_config; no label map is written, since the audit would refuse it: {'; '.join(problems)}"
            else:
                self.flow.reduce(LABEL_MAP, classes, name, self.prefix)
                told = f"remedy_config and in diagnose/{name}"
            outcome.notes.append(f"{split}: what the detections' class ids mean stands in {told}")

    def _repaired(
        self, source: DetectionSource, given: Round, inputs: Inputs
    ) -> tuple[MappingFaults, Round, DetectionSource]:
        """The faults of the mapping, the shards with these repaired, and the detections under the images they mean."""
        work, faults, last = self.work, MappingFaults(), given

        def again(name: str) -> Round:
            return look_at_all(self.flow, work, self.keys, source, f"{self.prefix}-{name}", faults.repairs)

        sample = _sample(given.sample)
        n_boxes, n_hit = sum(image.boxes for image in sample), sum(image.hits for image in sample)
        if work.weak and n_hit <= (1 - RECALL_RAISE) * n_boxes:
            task = SampleSearch(self.keys, tuple(image.image for image in sample), source)
            search = self.flow.reduce(SEARCH, work, task, self.prefix)
            faults = search.facts.faults
            if search.facts.is_renamed:
                source = renamed_source(self.flow, source, self.prefix, search["pairing"])
            if search.facts.is_renamed or faults.reading is not None:
                last = again("mapped")
        shifted = self._shifted(last)
        if shifted:
            faults = replace(faults, own_list=shifted)
            last = again("listed")
        labels = find_remaps(last.counts, work.names, inputs.class_lists)
        if labels is not None:
            faults = replace(faults, labels=labels)
            last = again("labelled")
        if faults.reading is None and work.weak:
            tasks = {key: ClassSearch(classes, last.shards) for key, classes in self._grouped(work.weak).items()}
            found = self.flow.map(FORMATS, work, tasks).facts
            readings = {k: fault for facts in found for k, fault in facts.readings.items()}
            if readings:
                faults = replace(faults, class_readings=readings)
                last = again("read")
        return faults, last, source

    def _shifted(self, seen: Round) -> dict[int, int]:
        """What the ids of the annotations mean in their own list, where the boxes agree; nothing where they do."""
        shift = shift_onto({*seen.counts.boxes, *seen.counts.crowds}, set(self.work.names))
        if shift is None:
            return {}
        votes = seen.counts.votes
        fitting = sum(n for (target, source), n in votes.items() if source == target + shift)
        standing = sum(n for (target, source), n in votes.items() if source == target)
        known = sorted({*seen.counts.boxes, *seen.counts.crowds})
        return {category: category + shift for category in known} if fitting >= standing else {}

    def _judged(self, given: Round, repaired: Round, faults: MappingFaults, beside: Gathered) -> Results[Judged]:
        known = Judging(self.work, given.counts, repaired.counts, faults, beside.inputs, self.keys)
        classes = sorted({*self.work.weak, *repaired.counts.boxes, *repaired.counts.detections})
        tasks = {
            key: SomeClasses(group, given.shards, repaired.shards, beside.trained)
            for key, group in self._grouped(classes).items()
        }
        return self.flow.map(JUDGE, known, tasks)

    def _grouped(self, classes: list[int] | tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Classes in groups for a task each, by its key."""
        starts = range(0, len(classes), CLASSES_A_TASK)
        groups = [tuple(classes[start : start + CLASSES_A_TASK]) for start in starts]
        return {f"{self.prefix}-{place:05d}": group for place, group in enumerate(groups)}


def _sample(images: list[SampledImage]) -> list[SampledImage]:
    """Of the images that shards offer those that a sample of the whole split takes."""
    ids = np.array([image.image for image in images], np.int64)
    return [images[place] for place in np.argsort(spread(ids), kind="stable")[:SAMPLE_IMAGES]]
