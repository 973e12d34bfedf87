"""The configuration section ``split``."""

from typing import Annotated

from msgspec import Meta

from detray.keys import FLAG
from detray.settings import Section

AUTO, NONE, FILE, FOLDER = "auto", "none", "file", "folder"


class DivideSettings(Section, frozen=True):
    """How large the parts are, and what stays together."""

    val: Annotated[float, Meta(ge=0, lt=1, description="share of the images in val", extra={FLAG: "--val"})] = 0.15
    test: Annotated[float, Meta(ge=0, lt=1, description="share in test; the rest is train", extra={FLAG: "--test"})] = (
        0.15
    )
    group: Annotated[
        str,
        Meta(
            description="what stays together beside pictures that look alike: file (of annotations) or folder (of the"
            " picture); the name of an attribute or column of images; prefix:TEXT, what stands in the file name before"
            " the first TEXT; auto: the file, where there are 20 of several images each; none",
            extra={FLAG: "--group"},
        ),
    ] = AUTO
    seed: Annotated[int, Meta(ge=0, lt=2**31, description="of what chance decides", extra={FLAG: "--split-seed"})] = 0

    def __post_init__(self) -> None:
        if self.val + self.test >= 1:
            raise ValueError("val and test leave nothing for train")
        if self.val + self.test == 0:
            raise ValueError("val and test are 0: there is nothing to split off")

    @property
    def shares(self) -> dict[str, float]:
        """The share of each part that gets images."""
        found = {"train": 1 - self.val - self.test, "val": self.val, "test": self.test}
        return {name: share for name, share in found.items() if share > 0}
