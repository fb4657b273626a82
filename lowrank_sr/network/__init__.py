"""ESRGAN's generator: the network, its weights files, and the method each of its layers is computed by."""
