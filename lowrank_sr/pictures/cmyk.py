"""Pictures in inks, cyan, magenta, yellow and black, as RGB: by their ICC profile, else by the plain formula.

Without a profile R = 255 - C - K, and so on, cut at 0: nobody knows which inks were meant.
"""

from collections.abc import Callable
from io import BytesIO

import PIL.Image
from PIL import ImageCms

Transform = Callable[[PIL.Image.Image], PIL.Image.Image]
NO_PROFILE = "CMYK without a profile that can be used: its colours are by the plain formula"


def to_srgb(profile: bytes | None) -> Transform | None:
    """What turns a CMYK picture with this profile into sRGB, by relative colorimetry; None where it cannot be used."""
    if profile is None:
        return None
    try:
        inks, screen = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(
            inks, screen, "CMYK", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
        )
    except (ImportError, OSError, ImageCms.PyCMSError):  # a Pillow without LittleCMS, or no profile of inks
        return None

    def converted(image: PIL.Image.Image) -> PIL.Image.Image:
        made = ImageCms.applyTransform(image, transform)
        assert made is not None  # it is not done in place
        return made

    return converted
