"""What is fine-tuned from is not there, or is not of the type that the pipeline.config says.

Failure: with a type that finds nothing in the checkpoint the API stops, or, where part of it fits, trains the rest from
random weights. The zoo's files say classification, which the checkpoints of its detectors are not; an empty type means
classification, too. Without a checkpoint a detector learns from nothing, and on few pictures the rare class stays at 0.
Number: the names of the variables in the checkpoint's index: `model/_feature_extractor` is a detector's (detection,
full), `feature_extractor` a classifier's.
Source: TF Object Detection API, model_lib_v2.py (load_fine_tune_checkpoint), restore_from_objects of the meta
architectures, utils/config_util.py (update_fine_tune_checkpoint_type).
"""

from collections.abc import Iterator, Sequence

from detray.audit.pipeline import StatedPipeline
from detray.audit.rule import ERROR, INFO, WARNING, Fact, Limits, SummaryRule
from detray.audit.rules.pipeline.told import told
from detray.audit.summary import Summary
from detray.pipeline.checkpoint import Checkpoint
from detray.pipeline.paths import CHECKPOINT

TYPES = ("detection", "full", "classification")


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    pipeline = data.pipeline
    if pipeline is None or "train_config" not in pipeline.file.lines:
        return []
    return list(_of_stated(pipeline) if pipeline.file.config.train_config.fine_tune_checkpoint else _of_none(pipeline))


def _of_none(pipeline: StatedPipeline) -> Iterator[Fact]:
    observed = "no fine_tune_checkpoint: all weights are learned from random ones"
    fix = pipeline.file.write(CHECKPOINT, '"FOLDER/checkpoint/ckpt-0"')
    yield told(pipeline, "none", observed, f"{fix}, of a model of the zoo", severity=INFO)


def _of_stated(pipeline: StatedPipeline) -> Iterator[Fact]:
    file, train = pipeline.file, pipeline.file.config.train_config
    stated = train.fine_tune_checkpoint
    lost = next((path for path in pipeline.paths if path.place == CHECKPOINT and path.problem is not None), None)
    if train.fine_tune_checkpoint_version != "V2":
        observed = f"fine_tune_checkpoint_version is {train.fine_tune_checkpoint_version}, which TF2 refuses"
        yield told(pipeline, "version", observed, file.write(f"{CHECKPOINT}_version", "V2"))
    kind = train.fine_tune_checkpoint_type or ("detection" if train.from_detection_checkpoint else "classification")
    if kind not in TYPES:
        observed = f"{kind} is no type of checkpoint that the API knows"
        yield told(pipeline, "type", observed, file.write(f"{CHECKPOINT}_type", '"detection"'))
    elif pipeline.checkpoint is not None:
        yield from _of_content(pipeline, pipeline.checkpoint, kind)
    elif lost is not None:
        fix = (
            file.write(CHECKPOINT, f'"{lost.instead}"')
            if lost.instead is not None
            else f"correct {file.at(CHECKPOINT)}: the name that the files have before .index"
        )
        severity = ERROR if lost.looked else WARNING if lost.instead is not None else INFO
        yield told(pipeline, "lost", f"{stated} {lost.problem}", fix, severity=severity)


def _of_content(pipeline: StatedPipeline, found: Checkpoint, kind: str) -> Iterator[Fact]:
    file = pipeline.file
    stated = file.config.train_config.fine_tune_checkpoint
    if found.problem is not None:
        yield told(pipeline, "lost", f"{stated} {found.problem}", f"correct {file.at(CHECKPOINT)}")
    elif not found.is_object_based:
        observed = f"{stated} was written by TensorFlow 1, which the API's TF2 trainer refuses"
        yield told(pipeline, "tf1", observed, "take the checkpoint of a model of the TF2 zoo")
    elif found.types and kind not in found.types:
        was_stated = file.config.train_config.fine_tune_checkpoint_type
        how = f"the type is {kind}" if was_stated else f"no type is stated, which means {kind}"
        observed = f"{how}, and {stated} is a {'detector' if 'detection' in found.types else 'classifier'}'s"
        yield told(pipeline, "type", observed, file.write(f"{CHECKPOINT}_type", f'"{found.types[0]}"'))
    elif not found.types:
        observed = f"{stated} holds neither a detector's nor a classifier's feature extractor"
        yield told(pipeline, "type", observed, "take the checkpoint of a model of the TF2 zoo", severity=WARNING)


RULE = SummaryRule(
    code="pipeline-checkpoint",
    family="pipeline",
    severity=ERROR,
    scope="dataset",
    problem="the pretrained weights are not there, or do not fit",
    expected="a checkpoint of TensorFlow 2 whose content is of the stated type",
    fix="state the checkpoint and its type",
    doc=__doc__,
    check=_check,
)
