"""What comes with the package: networks by name, and images."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).parent
# The wheel carries the repository's data folder inside the package; an editable install leaves it next to the package.
DATA = _PACKAGE / "data" if (_PACKAGE / "data").is_dir() else _PACKAGE.parent / "data"

IMAGES = DATA / "images"
CALIBRATION = DATA / "calibration"
OVERLAPS = DATA / "weights" / "overlaps.json"  # of the bundled networks' tiles, by the networks' digests

NETWORKS = {
    "realesrgan-x4plus": "photographs: sharp, paints the texture that it expects (Real-ESRGAN's, the default)",
    "realesrgan-x4plus-svd": "photographs: nearly the default's picture, 1.4 times as fast (its low-rank form)",
    "realesrgan-x4plus-anime": "drawings and anime: sharp (Real-ESRGAN's)",
    "psnr-small": "photographs: smooth, close to the original, four times as fast (this project's)",
}
"""The bundled networks, and in a few words what each is for."""

DEFAULT_NETWORK = "realesrgan-x4plus"
IN_LOW_RANK = {DEFAULT_NETWORK: "realesrgan-x4plus-svd"}  # of bundled networks those that are one in low rank, as well
SMALL_NETWORK = "psnr-small"


def weights_file(network: str | os.PathLike[str]) -> Path:
    """The file of the bundled network that is called `network`; any other name is a file's own.

    A file of the same name as a bundled network is meant by its whole name only, with a suffix.
    """
    return DATA / "weights" / f"{network}.npz" if str(network) in NETWORKS else Path(network)
