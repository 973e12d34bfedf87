"""What a checkpoint to fine-tune from holds, told by the names of its variables."""

from dataclasses import dataclass
from pathlib import Path

from detray.extras import is_installed

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The entry by which TensorFlow 2 knows its own checkpoints."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint: how its variables' names begin, or ``problem``, why it cannot be read."""

    prefixes: frozenset[str] = frozenset()
    problem: str | None = None

    @property
    def is_object_based(self) -> bool:
        """Whether TensorFlow 2 wrote it as objects, which is all that the API's TF2 trainer reads."""
        return OBJECT_GRAPH in self.prefixes

    @property
    def types(self) -> tuple[str, ...]:
        """The values of fine_tune_checkpoint_type that find something in it."""
        has = self.prefixes.__contains__
        is_detector = has("model/_feature_extractor") or has("model/_feature_extractor_for_proposal_features")
        kinds = [("detection", is_detector), ("full", is_detector), ("classification", has("feature_extractor"))]
        return tuple(kind for kind, fits in kinds if fits)


def read_checkpoint(prefix: str) -> Checkpoint | None:
    """Read the index of the checkpoint ``prefix`` (``ckpt-0``, of which ``ckpt-0.index`` is a file).

    None: TensorFlow, which would read it, is not installed.
    """
    place = Path(prefix)
    if place.is_dir():
        return Checkpoint(problem="is a folder; a checkpoint is named without its ending, as in ckpt-0")
    if place.suffix == ".index" or ".data-" in place.name:
        return Checkpoint(problem=f"is one of a checkpoint's files; name it without the ending: {place.stem}")
    if not place.with_name(f"{place.name}.index").is_file():
        return Checkpoint(problem="is not there: no file has its name with .index")
    if not is_installed("tensorflow"):
        return None
    import tensorflow as tf

    try:
        names = [name for name, _ in tf.train.list_variables(prefix)]
    except (tf.errors.OpError, ValueError, RuntimeError, UnicodeDecodeError):
        return Checkpoint(problem="cannot be read: its index is damaged")
    return Checkpoint(frozenset(part for name in names for part in _starts(name)))


def _starts(name: str) -> tuple[str, str]:
    parts = name.split("/")
    return parts[0], "/".join(parts[:2])
