"""The Keras layers that the network is made of."""

import re
from typing import Any

from detray.detectors.runtime import tensorflow

GROUPS = 8


class Layers:
    """Makes Keras layers, their initialisers seeded one after another.

    He initialisation before ReLU; group normalisation, since batches are small: without any
    normalisation the rare classes stay at zero. With ``portable`` all layers are Keras's own. ``dropout`` is the share
    that a layer of this kind leaves out.
    """

    def __init__(self, seed: int, *, portable: bool, dropout: float = 0.0) -> None:
        self.keras = tensorflow()[1]
        self.seed = seed
        self._portable = portable
        self._dropout = dropout
        self._made = 0

    def conv(
        self, filters: int, size: int, name: str, *, stride: int = 1, sigma: float | None = None, **options: Any
    ) -> Any:
        """A 2D convolution with 'same' padding; weights normal with ``sigma``, or as He where None."""
        self._made += 1
        seed = self.seed * 1000 + self._made
        initializers = self.keras.initializers
        return self.keras.layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding="same",
            kernel_initializer=initializers.RandomNormal(stddev=sigma, seed=seed)
            if sigma
            else initializers.HeNormal(seed=seed),
            name=name,
            **options,
        )

    def norm(self, name: str) -> Any:
        if self._portable:
            return self.keras.layers.GroupNormalization(GROUPS, name=name)
        from detray.detectors.retinanet.group_norm import FastGroupNormalization

        return FastGroupNormalization(GROUPS, name=name)

    def relu(self, name: str) -> Any:
        return self.keras.layers.ReLU(name=name)

    def dropout(self, name: str) -> Any:
        """Leaves out outputs while training; nothing at all where the share is 0."""
        if not self._dropout:
            return lambda features: features
        return self.keras.layers.Dropout(self._dropout, seed=self.seed, name=name)

    def add(self, name: str) -> Any:
        return self.keras.layers.Add(name=name)


def class_name(layer: Any) -> str:
    """The name of its class as Keras numbers layers by it: conv2d, batch_normalization."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()
