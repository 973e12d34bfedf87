"""What happens to the tasks of a flow, as one declared record, and what is counted of them."""

import os
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Kind = Literal[
    "stage_begun",
    "stage_complete",
    "stage_failed",
    "step_begun",
    "step_complete",
    "task_failed",
    "task_retried",
    "quarantined",
    "host_died",
    "host_left_out",
    "note",
]

KINDS: Mapping[Kind, str] = {
    "stage_begun": "a stage runs from here on",
    "stage_complete": "its manifest stands; `count`: seconds",
    "stage_failed": "it ended without a manifest; `detail` says why",
    "step_begun": "`count` tasks of a step are to be done, those of an earlier run apart",
    "step_complete": "all its tasks are whole; `count`: seconds",
    "task_failed": "a task raised what no repetition mends, and the stage ends",
    "task_retried": "a task, or `count` of them where a worker was lost, is done again",
    "quarantined": "a row or picture is left out; of a task the first 20, and one record with all of them as `count`",
    "host_died": "a machine of the cluster is lost",
    "host_left_out": "a machine failed three tasks in a row and gets no more",
    "note": "another sentence for the person who waits",
}
"""What each kind of event means."""

SAID: frozenset[Kind] = frozenset(("host_died", "host_left_out", "note"))
"""Those whose detail is a sentence for the person who waits."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a log; what is not known is left out."""

    event: Annotated[Kind, Meta(description="What happened")]
    time: Annotated[str, Meta(description="When, by the driver's clock, UTC")] = ""
    run_id: Annotated[str, Meta(description="The output folder, as in all its tables")] = ""
    stage: Annotated[str, Meta(description="The stage")] = ""
    step: Annotated[str, Meta(description="The step of the stage")] = ""
    shard: Annotated[str, Meta(description="The task: a shard, or what the step cuts its work into")] = ""
    host: Annotated[str, Meta(description="The machine that it happened on")] = ""
    split: Annotated[str | None, Meta(description="The data split")] = None
    image_id: Annotated[int | None, Meta(description="The image whose picture it is about")] = None
    file: Annotated[str | None, Meta(description="The picture, or the file that a row came from")] = None
    row: Annotated[int | None, Meta(description="The row's position there, from 0")] = None
    count: Annotated[float | None, Meta(description="How many; of what is complete, seconds")] = None
    detail: Annotated[str, Meta(description="In words, without what the environment keeps secret")] = ""


Tell = Callable[[Event], None]

METRICS: Mapping[str, str] = {
    "detray_rows": "Rows of result tables that tasks have written",
    "detray_findings": "Those of the table findings",
    "detray_images": "Images that a step has passed over; its rate is images a second",
    "detray_quarantined": "Rows and pictures that were left out",
    "detray_retries": "Tasks that were done again",
}
"""Counters by name, each tagged with stage and step."""
TAGS = ("stage", "step")

_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|(ACCESS|API|PRIVATE|ACCOUNT|STORAGE)_KEY")
_SHORTEST = 6
"""Characters of a secret: what is shorter stands in words by chance."""


def without_secrets(text: str) -> str:
    """A text in which no value stands that a variable of the environment holds whose name says that it is secret."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _SECRET.search(name.upper()) and value in text:
            text = text.replace(value, "***")
    return text
