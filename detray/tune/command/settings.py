"""The configuration section ``tune.command``."""

from typing import Annotated, Literal

from msgspec import Meta

from detray.settings import Section
from detray.tune.command.placeholders import KNOWN, find_unknown, names_in


class CommandSettings(Section, frozen=True):
    """A program that trains: how it is started, how it is told its settings, and how it reports."""

    run: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            description="the program and its arguments, one by one and without a shell; "
            + ", ".join(f"{{{name}}}" for name in KNOWN)
            + " and settings such as {learning_rate} stand for the trial's"
        ),
    ] = ()
    folder: Annotated[str, Meta(min_length=1, description="where it runs")] = "."
    config: Annotated[
        str | None,
        Meta(
            description="the program's own configuration, which {config} is a copy of with the trial's values: .json,"
            " .yaml, or a pipeline.config"
        ),
    ] = None
    levers: Annotated[
        dict[str, Annotated[str, Meta(min_length=1)]],
        Meta(
            description="of JSON and YAML: the key for a setting of detray: {focal_gamma: loss.gamma, seed: seed}; a"
            " pipeline.config has its own"
        ),
    ] = {}
    reports: Annotated[
        Literal["detections", "models"],
        Meta(
            description="what it writes into {output} after epoch or step N: detections-N.json, COCO results on the"
            " pictures of {detect}; or model-N, an exported model that detray runs on these"
        ),
    ] = "detections"
    timeout: Annotated[
        float, Meta(gt=0, le=1_000_000, description="seconds without news (output or log) after which it hangs")
    ] = 1800.0
    cpus: Annotated[float, Meta(gt=0, le=1024, description="CPUs that a trial holds")] = 1
    gpus: Annotated[float, Meta(ge=0, le=64, description="GPUs that a trial holds")] = 0

    def __post_init__(self) -> None:
        for word in self.run:
            if (name := find_unknown(word)) is not None:
                raise ValueError(f"run: {{{name}}} stands for nothing; known are {', '.join(KNOWN)}, and settings")
        if self.config is None and (self.levers or "config" in names_in(self.run)):
            raise ValueError("expected config, the file that levers and {config} are of")
