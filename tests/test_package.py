"""The package as others see it: the contract's names, modules that nothing shadows, and an import that costs little."""

import importlib
import pkgutil
import subprocess
import sys

import lowrank_sr as lsr

CONTRACT = {"load", "RRDBNet", "compress", "psnr", "ssim", "imresize", "Dense", "Separable", "CP", "InputError"}


def modules():
    return [
        module.name for module in pkgutil.walk_packages(lsr.__path__, "lowrank_sr.") if "__main__" not in module.name
    ]


def test_the_contract_is_kept():
    assert set(lsr.__all__) >= CONTRACT
    assert all(hasattr(lsr, name) for name in lsr.__all__)
    assert {"random", "with_method", "flops", "save", "scale"} <= set(dir(lsr.RRDBNet))


def test_no_module_is_shadowed_by_a_name_of_its_package():
    for name in modules():
        module = importlib.import_module(name)
        package, _, leaf = name.rpartition(".")
        assert getattr(sys.modules[package], leaf) is module


def test_the_import_is_light_and_needs_no_peer():
    heavy = {"PIL", "imageio", "tifffile", "matplotlib", "tqdm", "torch", "onnxruntime", "openvino", "tensorly"}
    code = f"import sys, lowrank_sr; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
