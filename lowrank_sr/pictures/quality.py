"""How near an enlarged picture is to the true one, and the enlargement that needs no network."""

from lowrank_sr.pictures.images import Image
from lowrank_sr.pictures.metrics import psnr, ssim
from lowrank_sr.pictures.resize import imresize


def enlarge_bicubic(low: Image, scale: int) -> Image:
    """`low` enlarged by bicubic interpolation."""
    return Image(imresize(low.pixels, scale), grey=low.grey)


def measure_quality(estimate: Image, truth: Image, scale: int) -> dict[str, float]:
    """PSNR and SSIM on luma and on RGB, `scale` pixels cut from each border; greyscale pictures as they are."""
    if truth.grey:
        a, b = estimate.pixels.mean(axis=2), truth.pixels.mean(axis=2)
    else:
        a, b = estimate.pixels, truth.pixels
    return {
        "psnr_y": psnr(a, b, crop=scale, channels="y"),
        "ssim_y": ssim(a, b, crop=scale, channels="y"),
        "psnr_rgb": psnr(a, b, crop=scale, channels="rgb"),
        "ssim_rgb": ssim(a, b, crop=scale, channels="rgb"),
    }
