"""The pipeline.config keeps fewer boxes than there are.

Failure: the reader cuts an image's boxes at its max_number_of_boxes without a word, so the rest is trained as
background and missing from the evaluation's ground truth; non-maximum suppression keeps so many detections an image and
class, so recall is capped whatever the model learns. train_config.max_number_of_boxes is read by the TF1 trainer only.
And a score_threshold of some tenths ends every precision-recall curve early.
Number: images of a split with more objects than a cap, and the most that one holds; by class for
max_detections_per_class; a score_threshold above `max_score`.
Source: TF Object Detection API, inputs.py (pad_input_data_to_static_shapes, with the input reader's cap), protos/
post_processing.proto, center_net.proto.
"""

from collections.abc import Iterator, Sequence

from detray.arrays import Ints
from detray.audit.pipeline import StatedPipeline
from detray.audit.rule import WARNING, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.pipeline.told import told
from detray.audit.summary import Summary
from detray.pipeline.model import BatchNonMaxSuppression

TRAIN = "train"


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    pipeline = data.pipeline
    if pipeline is None:
        return []
    found = _suppression(pipeline)
    facts = [] if found is None else [*_score(pipeline, *found, limits["max_score"])]
    for split in data.splits:
        n_objects = data.tallies[split].histogram("objects_per_image")
        facts += _of_images(pipeline, split, n_objects)
        if found is not None:
            facts += _of_classes(data, pipeline, split, *found)
    return facts


def _suppression(pipeline: StatedPipeline) -> tuple[str, BatchNonMaxSuppression] | None:
    """Where non-maximum suppression is set, and to what."""
    ssd, rcnn = pipeline.file.config.model.ssd, pipeline.file.config.model.faster_rcnn
    if ssd is not None:
        place, stated = "model.ssd.post_processing", ssd.post_processing
    elif rcnn is not None:
        place, stated = "model.faster_rcnn.second_stage_post_processing", rcnn.second_stage_post_processing
    else:
        return None
    return f"{place}.batch_non_max_suppression", stated.batch_non_max_suppression


def _caps(pipeline: StatedPipeline, split: str) -> Iterator[tuple[str, int, str]]:
    """Caps on an image's boxes that hold for a split, each with what becomes of the rest."""
    config = pipeline.file.config
    lost = "the rest is cut from the {} without a word"
    if split == TRAIN:
        yield (
            "train_input_reader.max_number_of_boxes",
            config.train_input_reader.max_number_of_boxes,
            lost.format("targets"),
        )
    else:
        for number, reader in enumerate(config.eval_input_reader[:1]):
            place = f"eval_input_reader[{number}].max_number_of_boxes"
            yield place, reader.max_number_of_boxes, lost.format("ground truth")
    found = _suppression(pipeline)
    if found is not None:
        yield f"{found[0]}.max_total_detections", found[1].max_total_detections, "the rest is always missed"
    if config.model.center_net is not None:
        cap = config.model.center_net.object_center_params.max_box_predictions
        yield "model.center_net.object_center_params.max_box_predictions", cap, "the rest is always missed"


def _of_images(pipeline: StatedPipeline, split: str, n_objects: tuple[Ints, Ints]) -> Iterator[Fact]:
    keys, n = n_objects
    for place, cap, effect in _caps(pipeline, split):
        over = keys > cap
        if over.any():
            images, most = int(n[over].sum()), int(keys.max())
            ignored = "; train_config.max_number_of_boxes has no effect in TF2" if _is_confused(pipeline, place) else ""
            observed = (
                f"{images} of {int(n.sum())} images of split {split} hold more than {cap} boxes, up to {most}: {effect}"
            )
            fix = pipeline.file.write(place, str(_rounded(most)))
            yield told(
                pipeline, f"{place} {split}", f"{place.rpartition('.')[2]}: {observed}{ignored}", fix, count=images
            )


def _is_confused(pipeline: StatedPipeline, place: str) -> bool:
    return place.startswith("train_input") and "train_config.max_number_of_boxes" in pipeline.file.lines


def _of_classes(
    data: Summary, pipeline: StatedPipeline, split: str, place: str, stated: BatchNonMaxSuppression
) -> Iterator[Fact]:
    cap = stated.max_detections_per_class
    for category_id, name in data.classes[split].items():
        keys, n = data.tallies[split].histogram("boxes_per_image", category_id)
        over = keys > cap
        if over.any():
            images, most = int(n[over].sum()), int(keys.max())
            yield Fact(
                split,
                f"max_detections_per_class is {cap}, and {images} of its {int(n.sum())} images hold more, up to {most}",
                category_id=category_id,
                category_name=name,
                count=images,
                fix=pipeline.file.write(f"{place}.max_detections_per_class", str(_rounded(most))),
            )


def _score(pipeline: StatedPipeline, place: str, stated: BatchNonMaxSuppression, limit: float) -> Iterator[Fact]:
    if stated.score_threshold > limit:
        observed = f"score_threshold is {stated.score_threshold:g}: what scores below is missing from every AP"
        fix = pipeline.file.write(f"{place}.score_threshold", "1e-8")
        yield told(pipeline, "score", observed, fix, threshold="max_score")


def _rounded(most: int) -> int:
    """A cap that leaves some room."""
    return -(-most // 50) * 50


RULE = SummaryRule(
    code="pipeline-caps",
    family="pipeline",
    severity=WARNING,
    scope="dataset",
    problem="it keeps fewer boxes than there are",
    fix="raise the caps",
    doc=__doc__,
    thresholds=(Threshold("max_score", 0.05, "", 0.0, 1.0, "a score_threshold above it cuts the curve"),),
    check=_check,
)
