"""The pipeline.config that a model is trained with, as rules see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from detray.pipeline.checkpoint import Checkpoint
from detray.pipeline.geometry import Resize, resize_of
from detray.pipeline.paths import StatedPath
from detray.pipeline.read import PipelineFile


@dataclass(frozen=True)
class StatedPipeline:
    """A pipeline.config and what belongs to it.

    Attributes:
        file: its text and values.
        paths: what it states of files.
        label_ids: the id of each name in the training reader's label map; None where there is none.
        other_labels: how label maps differ from each other, in words, by the field that names the other one.
        read_files: the record files of each split of the data set; of splits in other formats none.
        checkpoint: what fine_tune_checkpoint holds; None where none is stated or it was not found.
        protocol: the evaluation that is asked of detray.
    """

    file: PipelineFile
    paths: tuple[StatedPath, ...] = ()
    label_ids: Mapping[str, int] | None = None
    other_labels: Mapping[str, str] = field(default_factory=dict)
    read_files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    protocol: str = "coco"

    @property
    def num_classes(self) -> int | None:
        """Classes that the model tells apart; None where no architecture is known that states them."""
        architecture = self.file.architecture
        return architecture.num_classes if architecture is not None and architecture.num_classes > 0 else None

    @property
    def num_classes_place(self) -> str:
        """Where they stand."""
        return f"{self.file.architecture_place}.num_classes"

    @property
    def resize(self) -> Resize | None:
        """How pictures become the model's input, as far as it is known."""
        architecture = self.file.architecture
        return resize_of(architecture.image_resizer) if architecture is not None else None

    def trained_id(self, category_id: int, name: str | None) -> int | None:
        """The id that the API trains a box with; None: it drops the box.

        Records carry the class's text and its number; with a label map the text decides, and a text that the map
        lacks drops the box (data_decoders/tf_example_decoder.py, utils/ops.py: filter_unrecognized_classes).
        """
        if self.label_ids is None or name is None:
            return category_id
        return self.label_ids.get(name)
