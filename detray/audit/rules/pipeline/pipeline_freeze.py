"""What the pipeline.config freezes is trained, or what it trains had better be frozen.

Failure: freeze_variables and update_trainable_variables are read by the TF1 trainer only; in TF2 every variable moves,
so a fine-tuning on few pictures forgets what was pretrained. And normalisation statistics of a batch of few pictures
are noise: weights that were pretrained with other statistics then do not fit them.
Number: either list is stated; a checkpoint is fine-tuned while normalisation is trained with fewer than `min_batch`
images a step.
Source: measured: with freeze_variables ".*" 220 of 232 variables moved (tensorflow/models issues 9548, 10167); Wu and
He, Group Normalization, 2018 (errors rise below 8 images).
"""

from collections.abc import Iterator, Sequence

from detray.audit.pipeline import StatedPipeline
from detray.audit.rule import SUSPECT, WARNING, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.pipeline.told import told
from detray.audit.summary import Summary

LISTS = ("freeze_variables", "update_trainable_variables")


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    if data.pipeline is None:
        return []
    return [*_ignored(data.pipeline), *_norm(data.pipeline, limits["min_batch"])]


def _ignored(pipeline: StatedPipeline) -> Iterator[Fact]:
    file = pipeline.file
    for name in LISTS:
        stated = getattr(file.config.train_config, name)
        if stated:
            place = f"train_config.{name}"
            observed = f"{name} has no effect in TF2, so all layers train, those that match {stated[0]} too"
            fix = (
                f"take {file.at(f'{place}[0]')} out and lower the learning rate, or filter the gradients in"
                " object_detection/model_lib_v2.py, where they are applied, by the names of variables"
            )
            yield told(pipeline, name, observed, fix)


def _norm(pipeline: StatedPipeline, min_batch: float) -> Iterator[Fact]:
    file, train = pipeline.file, pipeline.file.config.train_config
    ssd, rcnn = file.config.model.ssd, file.config.model.faster_rcnn
    if not train.fine_tune_checkpoint or train.batch_size >= min_batch:
        return
    if ssd is not None and not ssd.freeze_batchnorm:
        fix = file.write("model.ssd.freeze_batchnorm", "true")
    elif rcnn is not None and rcnn.feature_extractor.batch_norm_trainable:
        fix = file.write("model.faster_rcnn.feature_extractor.batch_norm_trainable", "false")
    else:
        return
    observed = f"normalisation is trained on {train.batch_size} images a step, against pretrained weights"
    yield told(pipeline, "norm", observed, fix, severity=SUSPECT)


RULE = SummaryRule(
    code="pipeline-freeze",
    family="pipeline",
    severity=WARNING,
    scope="dataset",
    problem="what is trained is not what was meant",
    fix="train all layers at a lower rate",
    doc=__doc__,
    thresholds=(Threshold("min_batch", 8, "images", 1, 1024, "from this batch size on its statistics will do"),),
    check=_check,
)
