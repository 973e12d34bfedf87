"""The best loop over a model that can be written in a page: decode in threads, detect, and nothing else."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np
from PIL import Image

from detray.detectors.retinanet.model import load_retinanet
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, PredictSettings

Model = tuple[tuple[int, int] | None, int, Callable[[list[Any]], int]]
"""Height and width of its input, None: as the pictures are; how many it takes at once; and how it detects in these."""


def own(path: str) -> Model:
    """A RetinaNet of detray's: the same traced function, which decodes and suppresses too."""
    model = load_retinanet(DetectorSettings(), path, PredictSettings())
    batch, size = model.predict.batch_size, (model.settings.input_height, model.settings.input_width)

    def detect(pictures: list[Any]) -> int:
        full = np.zeros((batch, *size, 3), np.uint8)
        full[: len(pictures)] = pictures
        boxes, *_ = (part.numpy()[: len(pictures)] for part in model._traced(full))
        return len(boxes)

    return size, batch, detect


def saved_model(path: str) -> Model:
    """Its signature, called for one picture after the other."""
    tf, _ = tensorflow()
    loaded = tf.saved_model.load(path)
    names = [f"detection_{name}" for name in ("boxes", "scores", "classes")]

    def detect(pictures: list[Any]) -> int:
        for picture in pictures:
            found = loaded.signatures["serving_default"](input_tensor=tf.constant(picture[None]))
            _ = [found[name].numpy() for name in names]
        return len(pictures)

    return None, 1, detect


def tflite(path: str) -> Model:
    """LiteRT's interpreter, invoked for one picture after the other."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    (place,), outputs = interpreter.get_input_details(), interpreter.get_output_details()

    def detect(pictures: list[Any]) -> int:
        for picture in pictures:
            interpreter.set_tensor(place["index"], picture[None].astype(np.float32))
            interpreter.invoke()
            _ = [interpreter.get_tensor(output["index"]) for output in outputs]
        return len(pictures)

    return tuple(place["shape"][1:3]), 1, detect


LOOPS = {"retinanet": own, "saved_model": saved_model, "tflite": tflite}


class Loop:
    """A loaded model and its loop."""

    def __init__(self, kind: str, path: str, warm_up: Sequence[str]) -> None:
        """``warm_up``: pictures in which it detects first, so that functions are traced."""
        self._size, self._batch, self._detect = LOOPS[kind](path)
        self(warm_up, 1)

    def __call__(self, paths: Sequence[str], threads: int) -> tuple[float, float]:
        """Wall and CPU time of this process for some pictures, s."""
        start, n = (perf_counter(), process_time()), 0
        with ThreadPoolExecutor(threads) as pool:
            ahead: list[Future[Any]] = []
            left = iter(paths)
            while True:
                ahead += [pool.submit(self._decode, path) for path in islice(left, 3 * self._batch - len(ahead))]
                if not ahead:
                    break
                n += self._detect([one.result() for one in ahead[: self._batch]])
                del ahead[: self._batch]
        if n != len(paths):
            raise ValueError(f"{n} of {len(paths)} pictures")
        return perf_counter() - start[0], process_time() - start[1]

    def _decode(self, path: str) -> Any:
        with Image.open(path) as image:
            pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
        if self._size is None:
            return pixels
        return cv2.resize(pixels, self._size[::-1], interpolation=cv2.INTER_AREA)


_kept: list[Loop] = []


def start(kind: str, path: str, warm_up: Sequence[str]) -> None:
    """In a process of its own: load the model that `run_kept` runs."""
    _kept.append(Loop(kind, path, warm_up))


def run_kept(paths: Sequence[str]) -> tuple[float, float]:
    """As `Loop`, with one thread that decodes."""
    return _kept[0](paths, 1)
