"""The step ``detect`` of ``detray predict``, with a note of the time when a worker is ready and after each task.

In a file for each process in the folder that the environment names, since tasks run in processes of Ray.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from detray.detectors import flow
from detray.detectors.detector import Prepared
from detray.flow.step import Output

FOLDER = "DETRAY_BENCHMARK_NOTES"


def _note(pictures: int) -> None:
    with Path(os.environ[FOLDER], str(os.getpid())).open("a") as file:
        file.write(f"{perf_counter()} {process_time()} {pictures}\n")


def setup(work: flow.Work) -> flow.Loaded:
    """A loaded detector whose functions are traced."""
    loaded = flow.Loaded.of(work)
    picture: Prepared = loaded.inference.detector.prepare(np.zeros((480, 640, 3), np.uint8))
    loaded.inference.detector.detect([picture])
    _note(0)
    return loaded


def run(loaded: flow.Loaded, chunk: flow.Chunk) -> Output[flow.Counts]:
    """The task itself."""
    found = flow.detect(loaded, chunk)
    _note(found.facts.images)
    return found


def costs(notes: Path) -> tuple[float, float]:
    """Pictures a second and CPU seconds a picture, from when each worker was ready to the end of its last task."""
    rate, cpu, count = 0.0, 0.0, 0
    for lines in _files(notes):
        n = sum(int(pictures) for _, _, pictures in lines)
        rate += n / max(lines[-1][0] - lines[0][0], 1e-9)
        cpu += lines[-1][1] - lines[0][1]
        count += n
    return rate, cpu / count


def _files(notes: Path) -> Iterator[list[tuple[float, float, float]]]:
    for file in notes.iterdir():
        lines = [tuple(map(float, line.split())) for line in file.read_text().splitlines()]
        if len(lines) > 1:  # a worker that had nothing to do has but one
            yield sorted((wall, cpu, n) for wall, cpu, n in lines)


DETECT = replace(flow.DETECT, setup=setup, run=run)
