"""The configuration section ``cluster``."""

from typing import Annotated

from msgspec import Meta

from detray.settings import Section


class ClusterSettings(Section, frozen=True):
    """Where the work runs."""

    address: Annotated[
        str | None,
        Meta(description="Ray cluster to join; local: one is started here; null: where the work is large enough"),
    ] = None
    cpus_per_task: Annotated[float, Meta(gt=0, le=64, description="CPUs a task holds")] = 1
    max_workers: Annotated[
        Annotated[int, Meta(gt=0, le=100_000)] | None,
        Meta(description="tasks of one CPU that a job has at once on a shared cluster; null: all"),
    ] = None
    gpus_per_actor: Annotated[float, Meta(ge=0, le=16, description="GPUs an inference or training actor holds")] = 0
    gpu_wait_seconds: Annotated[
        float,
        Meta(ge=0, le=86_400, description="time for a shared cluster to start a machine that is large enough, s"),
    ] = 900
    min_free_gib: Annotated[
        float,
        Meta(ge=0, le=1e6, description="disk space that is free on each machine before a stage starts, GiB"),
    ] = 1
