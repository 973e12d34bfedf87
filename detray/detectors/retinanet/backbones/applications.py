"""Backbones of keras.applications, with the preprocessing that their published weights were trained with."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from detray.detectors.io import InputRange
from detray.detectors.ranges import RANGES
from detray.detectors.retinanet.layers import Layers, class_name


@dataclass(frozen=True)
class Application:
    """A network of keras.applications without its classifier.

    Args:
        function: its name there.
        taken: the range of pixel values that its weights expect.
        options: further arguments of the function.
    """

    function: str
    taken: InputRange
    options: tuple[tuple[str, object], ...] = ()

    def __call__(self, image: Any, layers: Layers) -> dict[int, Any]:
        """The feature maps of levels 3, 4 and 5, each the last at exactly that stride; ``image`` as in `tiny`."""
        keras = layers.keras
        build = getattr(keras.applications, self.function)
        size = tuple(image.shape[1:])
        with _seeded(layers.seed):
            network = build(
                input_tensor=_preprocessed(image, self.taken, keras),
                input_shape=size,
                include_top=False,
                weights=None,
                **dict(self.options),
            )
        _name_as_in_a_fresh_process(network)
        outputs = [layer.output for layer in network.layers]
        maps = [output for output in outputs if not isinstance(output, list | tuple) and len(output.shape) == 4]
        shapes = {level: tuple(-(-side // (1 << level)) for side in size[:2]) for level in (3, 4, 5)}
        return {
            level: next(output for output in reversed(maps) if tuple(output.shape[1:3]) == shape)
            for level, shape in shapes.items()
        }


def _preprocessed(image: Any, taken: InputRange, keras: Any) -> Any:
    scaling = RANGES[taken]
    scaled = keras.layers.Rescaling(list(scaling.scale), offset=list(scaling.offset), name="rescale")(image)
    return keras.ops.flip(scaled, axis=-1) if scaling.bgr else scaled


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Weights that Keras makes in here follow from ``seed``: its initialisers draw their seeds from `random`."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def _name_as_in_a_fresh_process(network: Any) -> None:
    """Name layers that Keras numbers through a process as in one that made this network only: files know them so."""
    counts: dict[str, int] = {}
    for layer in network.layers:
        kind = class_name(layer)
        if layer.weights and layer.name.rstrip("0123456789").rstrip("_") == kind:
            number = counts.get(kind, 0)
            layer.name = f"{kind}_{number}" if number else kind
            counts[kind] = number + 1
