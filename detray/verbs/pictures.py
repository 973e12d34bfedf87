"""The data set's pictures, for stages that look at them."""

from collections.abc import Sequence

from detray.errors import UsageError
from detray.formats.resolve import picture_folders
from detray.formats.settings import DatasetSettings
from detray.verbs.config import Config


def require_pictures(dataset: DatasetSettings, splits: Sequence[str]) -> None:
    """Refuse splits without an image folder; those that the data set lacks are not looked at.

    Raises:
        UsageError: naming the split and the setting that is missing.
    """
    for split in splits:
        if split in dataset.splits and not dataset.splits[split].images:
            raise UsageError(
                f"split {split}: its pictures are needed but no image folder is stated; "
                f"set dataset.splits.{split}.images, or --images for plain files"
            )


def read_pictures(config: Config) -> Sequence[str]:
    """The folders that they lie in."""
    return picture_folders(config.dataset)
