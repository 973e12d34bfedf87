"""The configuration section ``dataset``."""

from typing import Annotated

from msgspec import Meta

from detray.settings import Section


class SplitSettings(Section, frozen=True):
    """One split: where its annotations lie, in which format, and where its pictures lie."""

    format: Annotated[
        str,
        Meta(
            description="coco, voc, yolo, tfrecord, open_images, tf_csv (of the TensorFlow tutorials), retinanet_csv"
            " (keras-retinanet's), labelme, via, cvat (XML 1.1 for images), label_studio or createml; auto:"
            " recognised from the content"
        ),
    ] = "auto"
    annotations: Annotated[
        str | tuple[str, ...], Meta(description="file or folder, or several, below dataset.root")
    ] = ""
    images: Annotated[str | None, Meta(description="folder of the pictures, below dataset.root; null: not checked")] = (
        None
    )
    list: Annotated[str | None, Meta(description="text file of image names, one a line, that limits the split")] = None


class DatasetSettings(Section, frozen=True):
    """The data set: its splits, and the label map that the model was trained with."""

    root: Annotated[str, Meta(description="folder that relative paths start in; data may not point out of it")] = "."
    also: Annotated[
        tuple[str, ...],
        Meta(description="further folders that links and names in the data may lead to, another disk for instance"),
    ] = ()
    label_map: Annotated[
        str | None,
        Meta(
            description="label map: .pbtxt, .yaml, .txt, .json, or Open Images' .csv; ids as written, names without"
            " ids count from 1; in a YOLO data file (data.yaml, or train, val, test, nc or path beside names) class k"
            " has the id k + 1"
        ),
    ] = None
    pipeline: Annotated[
        str | None,
        Meta(
            description="pipeline.config of the TF2 Object Detection API, below dataset.root, that the model is trained"
            " with: the audit checks it against the data, remedies are written as its lines, and where no splits are"
            " stated it names them"
        ),
    ] = None
    splits: Annotated[dict[str, SplitSettings], Meta(description="train, val, test, ...: each a split")] = {}
