"""Keras models in one ``.keras`` file, read in Keras's safe mode; KerasHub's by their raw outputs."""
