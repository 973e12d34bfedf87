"""The data set's pictures, for stages that look at them."""

from collections.abc import Sequence

from detray.errors import UsageError
from detray.flow.data import Data
from detray.formats.resolve import picture_places
from detray.formats.tfrecord.reader import TFRecord
from detray.verbs.config import Config


def pictured(config: Config, data: Data) -> frozenset[str]:
    """The splits whose pictures are at hand: in a folder that is stated, or within the records of TFRecord files."""
    formats = (data.manifest("ingest") or {}).get("facts", {}).get("formats", {})
    splits = config.dataset.splits.items()
    return frozenset(name for name, split in splits if split.images or formats.get(name) == TFRecord.name)


def require_pictures(config: Config, data: Data, splits: Sequence[str]) -> None:
    """Refuse splits without pictures; those that the data set lacks are not looked at.

    Raises:
        UsageError: naming the split and the setting that is missing.
    """
    for split in splits:
        if split in config.dataset.splits and split not in pictured(config, data):
            raise UsageError(
                f"split {split}: its pictures are needed but no image folder is stated; "
                f"set dataset.splits.{split}.images, or --images for plain files"
            )


def read_pictures(config: Config) -> Sequence[str]:
    """The folders and files that they lie in."""
    return picture_places(config.dataset)
