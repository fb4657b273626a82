"""What Table 1 and Figure 3 show of each technique: quality, time, size, memory."""

from lowrank_sr.machine.memory import peak_extra_bytes
from lowrank_sr.study.measure import networks, speed
from lowrank_sr.study.measure import quality as of_pictures
from lowrank_sr.study.settings import Study


def quality(study: Study, name: str) -> dict:
    """A technique's PSNR and SSIM."""
    return of_pictures.network(study, networks.network(study, name))


def times(study: Study) -> dict:
    """Every technique on one picture, in turn, and how large it is (float32)."""
    compared = {name: networks.network(study, name) for name in networks.techniques(study)}
    rows = speed.compare_networks(compared, study.extent.side, study.extent.rounds)
    for name, net in compared.items():
        rows[name] |= {"parameters": net.parameters, "size_mb": 4 * net.parameters / 1e6}
    return {"side": study.extent.side, "techniques": rows}


def memory(study: Study, name: str) -> dict:
    """Peak memory above what the process held before, by the side of the picture."""
    net = networks.network(study, name)
    net(speed.noise(16))  # prepares the kernels and compiles the loops
    rows = []
    for side in study.extent.memory_sides:
        image = speed.noise(side)
        peak = peak_extra_bytes(lambda image=image: net(image))
        rows.append({"side": side, "measured": {"peak_mb": None if peak is None else peak / 1e6}})
    return {"sides": rows}
