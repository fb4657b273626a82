"""Where the files that come with the package are: its weights and images."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
# The wheel carries the repository's data folder inside the package; an editable install leaves it next to the package.
DATA = _PACKAGE / "data" if (_PACKAGE / "data").is_dir() else _PACKAGE.parent / "data"

WEIGHTS = DATA / "rrdb_x4_nb3.npz"
IMAGES = DATA / "images"
CALIBRATION = DATA / "calibration"
