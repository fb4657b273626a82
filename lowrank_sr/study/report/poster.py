"""What the poster says: Sedky and Hosmer, "Low-Rank Approximations for Convolutional Layers in Super Resolution"."""

from lowrank_sr.study.technique import CP_KERNEL, IM2COL, REFERENCE, SVD_KERNEL

# its Table 1: PSNR in dB and SSIM of one picture that it does not name
TABLE1 = {
    REFERENCE: {"psnr": 23.27, "ssim": 0.64},
    IM2COL: {"psnr": 23.27, "ssim": 0.64},
    SVD_KERNEL: {"psnr": 23.31, "ssim": 0.68},
    CP_KERNEL: {"psnr": 22.99, "ssim": 0.63},
}
NAMES = {REFERENCE: "original", IM2COL: "im2col", SVD_KERNEL: "SVD", CP_KERNEL: "CP"}  # in its table

LARGEST_LOSS = {  # of its Table 1: what it calls minimal
    measure: TABLE1[REFERENCE][measure] - min(row[measure] for row in TABLE1.values()) for measure in ("psnr", "ssim")
}
SIZE = "We propose [SVD and CP] to improve the inference speed and reduce the model size of [ESRGAN] …"
LOSS = "… with minimal loss in accuracy."
FASTER = (
    "The low rank approximations via the SVD and the CP-decomposition both slightly outperformed the direct "
    "convolution in the inference stage of the ESRGAN."
)
IMPROVES = "The SVD decomposition even improved PSNR and SSIM values by removing parts of overdetermined layers."
THRESHOLD = "Pushing the SVD to use a lower threshold also slows down the inference speed."
IM2COL_SLOW = "The im2col method is too memory intensive and is slower than the original implementation."
BOUND = "We expect a theoretical speed up of ~d² when R ≈ NC/(N+C)."
