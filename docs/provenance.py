"""Where the numbers of README.md and docs/results.md come from: docs/results/NAME.json, and whether one is stale.

A file holds what `remeasure.py` wrote when it last ran the commands of its measurement: what they found, on which
machine, day and commit, and a digest of the sources that matter for it. Where these have changed since, it is stale,
and the book does not build.
"""

import ast
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"


@dataclass(frozen=True)
class Measurement:
    """The commands of a measurement, the JSON files that they write, and what in the repository matters for it."""

    commands: tuple[str, ...]  # in a folder with benchmarks/ in it, and Set5/ and Set14/ where they name one
    files: tuple[str, ...]
    sources: tuple[str, ...]  # files and folders
    figures: tuple[str, ...] = ()  # which are copied to docs/results/ as they are


NETWORK = tuple(f"lowrank_sr/{name}.py" for name in ("network/esrgan", "network/rrdbnet", "network/tail", "layers"))
MEASURES = tuple(
    f"lowrank_sr/pictures/{name}.py" for name in ("metrics", "niqe", "pairs", "quality", "resize", "sharpness")
)
KERNELS = ("lowrank_sr/conv", "lowrank_sr/machine", "lowrank_sr/network/auto.py")
FACTORS = (
    "lowrank_sr/factors.py",
    "lowrank_sr/flops.py",
    "lowrank_sr/lowrank",
    "lowrank_sr/compression",
    "data/calibration",
)
STUDY = ("lowrank_sr/study/measure", "lowrank_sr/study/extent.py", "lowrank_sr/study/technique.py")
WEIGHTS = tuple(f"data/weights/{name}.npz" for name in ("psnr-small", "realesrgan-x4plus", "realesrgan-x4plus-svd"))
PEERS = 'MNN OpenVINO "PyTorch channels last"'
OTHERS = "realesrgan-x4plus psnr-small"

MEASUREMENTS = {
    "study": Measurement(
        ("lowrank-sr study -o report/",),
        ("report/results.json",),
        (*NETWORK, *MEASURES, *KERNELS, *FACTORS, *WEIGHTS, *STUDY, "data/images"),
        ("report/figures/answer.svg",),
    ),
    "quality": Measurement(
        (
            f"lowrank-sr evaluate {OTHERS} --json bundled.json",
            f"lowrank-sr evaluate {OTHERS} --data Set5/ --json set5.json",
            f"lowrank-sr evaluate {OTHERS} --data Set14/ --json set14.json",
        ),
        ("bundled.json", "set5.json", "set14.json"),
        (*NETWORK, *MEASURES, *WEIGHTS, "data/images"),
    ),
    "low-rank": Measurement(
        (
            "lowrank-sr compress realesrgan-x4plus -o kernels.npz --speedup 2 --no-calibration",
            "lowrank-sr compress realesrgan-x4plus -o fitted.npz --speedup 2",
            *(
                "lowrank-sr evaluate realesrgan-x4plus kernels.npz fitted.npz realesrgan-x4plus-svd "
                f"--reference realesrgan-x4plus --data {data}/ --json {data.lower()}.json"
                for data in ("Set5", "Set14")
            ),
        ),
        ("set5.json", "set14.json"),
        (*NETWORK, *MEASURES, *FACTORS, *WEIGHTS),
    ),
    "speed": Measurement(
        (
            f"python benchmarks/compare.py --sizes 256 --rounds 4 --names auto {PEERS} --json peers.json",
            "python benchmarks/compare.py --sizes 96 192 --rounds 7 --names auto realesrgan-x4plus-svd --json svd.json",
        ),
        ("peers.json", "svd.json"),
        (*NETWORK, *KERNELS, "benchmarks/compare.py", "benchmarks/peers.py"),
    ),
}


def load(name: str) -> dict[str, Any]:
    """The content of docs/results/NAME.json."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def digest(sources: tuple[str, ...]) -> str:
    """A digest of files and folders: of Python what it does, neither comments nor docstrings, of others their bytes."""
    files = sorted({file for source in sources for file in _files(ROOT / source)})
    whole = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        whole.update(file.relative_to(ROOT).as_posix().encode())
        whole.update(repr(_syntax(ast.parse(content))).encode() if file.suffix == ".py" else content)
    return whole.hexdigest()[:16]


def _files(source: Path) -> list[Path]:
    if not source.exists():
        raise FileNotFoundError(f"{source}: a measurement names it as one of its sources")
    inside = source.rglob("*") if source.is_dir() else [source]
    return [file for file in inside if file.is_file() and file.suffix not in {".pyc", ".nbi", ".nbc"}]


def _syntax(node: object) -> object:
    """A syntax tree as lists, without what is only said, and alike in every version of Python."""
    if isinstance(node, ast.AST):
        fields = ((name, _syntax(value)) for name, value in ast.iter_fields(node) if name != "kind")
        return [type(node).__name__, *((name, value) for name, value in fields if value not in ("None", []))]
    if isinstance(node, list):
        return [_syntax(item) for item in node if not _is_text(item)]
    return repr(node)


def _is_text(node: object) -> bool:
    """Whether a statement is only a string: a docstring, or what is said of the name above it."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def stale() -> list[str]:
    """The measurements that have no file yet, or whose sources have changed since."""
    return [name for name, of in MEASUREMENTS.items() if not _is_current(name, digest(of.sources))]


def _is_current(name: str, sources: str) -> bool:
    return (RESULTS / f"{name}.json").exists() and load(name)["sources"] == sources
