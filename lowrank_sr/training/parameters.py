"""All arrays of a network as one vector, so that an optimiser is a few lines of NumPy."""

from collections.abc import Mapping

import numpy as np

from lowrank_sr.layers import Layer


def to_vector(arrays: Mapping[str, Mapping[str, np.ndarray]]) -> np.ndarray:
    """The numbers of `arrays`, by layer and field, one after the other: float32."""
    return np.concatenate([array.ravel() for fields in arrays.values() for array in fields.values()], dtype=np.float32)


def arrays_of(layers: Mapping[str, Layer]) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of every layer, by the names of both."""
    return {name: layer.arrays() for name, layer in layers.items()}


def to_layers(vector: np.ndarray, like: Mapping[str, Layer]) -> dict[str, Layer]:
    """Layers of the forms and shapes of `like` whose arrays are views of `vector`, in the order of `to_vector`."""
    layers: dict[str, Layer] = {}
    start = 0
    for name, layer in like.items():
        fields = {}
        for field, array in layer.arrays().items():
            fields[field] = vector[start : start + array.size].reshape(array.shape)
            start += array.size
        layers[name] = type(layer)(**fields)
    return layers


def shapes_of(layers: Mapping[str, Layer]) -> list[tuple[int, ...]]:
    """The shapes of all arrays, in the order of `to_vector`."""
    return [array.shape for layer in layers.values() for array in layer.arrays().values()]
