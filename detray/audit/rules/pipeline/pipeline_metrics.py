"""The evaluation of the pipeline.config fails, or measures something else than is asked for.

Failure: include_metrics_per_category stops the evaluation with the pycocotools that pip installs ("Category stats do
not exist"), so nobody sees which class is at zero. A metrics_set that the API does not know stops it, too; one of
another protocol gives an AP that cannot be compared; moving averages that the training does not keep cannot be loaded;
and a reader that takes one of n examples judges by the rest of none.
Number: the stated values.
Source: TF Object Detection API, metrics/coco_tools.py (issues 4778, 5010 of tensorflow/models), eval_util.py,
model_lib_v2.py.
"""

from collections.abc import Iterator, Sequence

from detray.audit.pipeline import StatedPipeline
from detray.audit.rule import ERROR, SUSPECT, WARNING, Fact, Limits, SummaryRule
from detray.audit.rules.pipeline.told import told
from detray.audit.summary import Summary

DEFAULT = "coco_detection_metrics"
PROTOCOLS = {
    "coco": (DEFAULT,),
    "lvis": ("lvis_mask_metrics",),
    "pascal": ("pascal_voc_detection_metrics",),
    "open_images": ("oid_V2_detection_metrics", "oid_challenge_detection_metrics"),
}
"""What measures each protocol of detray's evaluation."""
KNOWN = frozenset(
    {
        *(name for names in PROTOCOLS.values() for name in names),
        *("coco_keypoint_metrics", "coco_mask_metrics", "coco_panoptic_metrics"),
        *("oid_challenge_segmentation_metrics", "weighted_pascal_voc_detection_metrics"),
        *("precision_at_recall_detection_metrics", "pascal_voc_instance_segmentation_metrics"),
        "weighted_pascal_voc_instance_segmentation_metrics",
    }
)
PLACE = "eval_config.metrics_set"


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    pipeline = data.pipeline
    if pipeline is None or "eval_config" not in pipeline.file.lines:
        return []
    return [*_per_category(pipeline), *_sets(pipeline), *_averages(pipeline), *_sample(pipeline)]


def _per_category(pipeline: StatedPipeline) -> Iterator[Fact]:
    stated = pipeline.file.config.eval_config
    if stated.include_metrics_per_category and DEFAULT in stated.metrics_set:
        observed = "include_metrics_per_category stops the evaluation with the pycocotools that pip installs"
        fix = pipeline.file.write("eval_config.include_metrics_per_category", "false")
        fix += "; `detray evaluate GROUND_TRUTH DETECTIONS` gives the AP of each class"
        yield told(pipeline, "category", observed, fix, severity=ERROR)


def _sets(pipeline: StatedPipeline) -> Iterator[Fact]:
    stated = pipeline.file.config.eval_config.metrics_set or (DEFAULT,)
    unknown = [name for name in stated if name not in KNOWN]
    wanted = PROTOCOLS.get(pipeline.protocol, ())
    if unknown:
        observed = f"the API has no metrics_set {unknown[0]}, and stops"
        yield told(pipeline, "unknown", observed, pipeline.file.write(PLACE, f'"{DEFAULT}"'), severity=ERROR)
    elif wanted and not set(wanted) & set(stated):
        observed = f"it measures {', '.join(stated)}, and evaluate.protocol is {pipeline.protocol}"
        fix = pipeline.file.write(PLACE, f'"{wanted[0]}"')
        yield told(pipeline, "protocol", observed, fix)


def _averages(pipeline: StatedPipeline) -> Iterator[Fact]:
    config = pipeline.file.config
    if config.eval_config.use_moving_averages and not config.train_config.optimizer.use_moving_average:
        observed = "it evaluates moving averages of the weights, which the training does not keep"
        yield told(pipeline, "averages", observed, pipeline.file.write("eval_config.use_moving_averages", "false"))


def _sample(pipeline: StatedPipeline) -> Iterator[Fact]:
    for number, reader in enumerate(pipeline.file.config.eval_input_reader):
        if reader.sample_1_of_n_examples > 1:
            place = f"eval_input_reader[{number}].sample_1_of_n_examples"
            observed = (
                f"it evaluates one of {reader.sample_1_of_n_examples} images, and classes of few images by chance"
            )
            yield told(pipeline, place, observed, pipeline.file.write(place, "1"), severity=SUSPECT)


RULE = SummaryRule(
    code="pipeline-metrics",
    family="pipeline",
    severity=WARNING,
    scope="dataset",
    problem="its evaluation is not what is asked for",
    fix="state the metrics that are asked for",
    doc=__doc__,
    check=_check,
)
