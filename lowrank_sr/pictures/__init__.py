"""Picture files and arrays of pixels: formats, resizing, PSNR and SSIM."""
