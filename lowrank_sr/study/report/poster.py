"""What the poster says: Sedky and Hosmer, "Low-Rank Approximations for Convolutional Layers in Super Resolution"."""

# its Table 1: PSNR in dB and SSIM of one picture that it does not name
TABLE1 = {
    "direct": {"psnr": 23.27, "ssim": 0.64},
    "im2col": {"psnr": 23.27, "ssim": 0.64},
    "svd": {"psnr": 23.31, "ssim": 0.68},
    "cp": {"psnr": 22.99, "ssim": 0.63},
}

FASTER = (
    "The low rank approximations via the SVD and the CP-decomposition both slightly outperformed the direct "
    "convolution in the inference stage of the ESRGAN."
)
IMPROVES = "The SVD decomposition even improved PSNR and SSIM values by removing parts of overdetermined layers."
THRESHOLD = "Pushing the SVD to use a lower threshold also slows down the inference speed."
IM2COL = "The im2col method is too memory intensive and is slower than the original implementation."
BOUND = "We expect a theoretical speed up of ~d² when R ≈ NC/(N+C)."
