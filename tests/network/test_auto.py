import numba
import pytest

import lowrank_sr as lsr
from lowrank_sr.commands.info import describe
from lowrank_sr.conv import timing
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.layers import random_layer
from lowrank_sr.machine import remembered
from lowrank_sr.machine.threads import limited
from lowrank_sr.network import auto


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "lowrank_sr")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(remembered, "_known", {})
    monkeypatch.setattr(timing, "SECONDS", 0)
    return tmp_path / "lowrank-sr"


def test_every_method_is_measured_once_and_remembered(empty_cache, monkeypatch):
    times = auto.seconds_by_method((4, 5, 3))
    assert set(times) == set(METHODS)
    assert min(times.values()) > 0
    assert auto.fastest((4, 5, 3)) == min(times, key=times.get)

    monkeypatch.setattr(auto, "_measure", lambda shape, methods: pytest.fail("measured again"))
    assert auto.seconds_by_method((4, 5, 3)) == times
    monkeypatch.setattr(remembered, "_known", {})  # another process
    assert auto.seconds_by_method((4, 5, 3)) == times
    assert len(list(empty_cache.iterdir())) == 1


def test_figures_are_kept_for_each_machine_kernels_and_thread_count(monkeypatch):
    names = set()
    counts = {1, numba.config.NUMBA_NUM_THREADS}
    for count in counts:
        with limited(count), monkeypatch.context() as patch:
            names.add(auto._file())
            for name, value in {"cpu_model": lambda: "another", "LANES": 99, "kernels_digest": lambda: "99"}.items():
                patch.setattr(auto, name, value)
                names.add(auto._file())
    assert len(names) == 4 * len(counts)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"4 5 3": 1}', '{"4 5 3": {"direct": "fast"}}', '{"4 5 3": {}}', '{"4 5 3": {"fft": 1.0}}'],
)
def test_a_damaged_file_is_measured_anew(empty_cache, content):
    empty_cache.mkdir()
    (empty_cache / auto._file()).write_text(content)
    assert set(auto.seconds_by_method((4, 5, 3))) == set(METHODS)


@pytest.mark.parametrize(("together", "in_blocks"), [(0.5, "winograd"), (2.0, "kn2row")])
def test_auto_takes_the_fastest_and_info_shows_why(monkeypatch, together, in_blocks):
    figures = dict(zip(METHODS, (3.0, 4.0, 1.0, 2.0), strict=True))
    monkeypatch.setattr(auto, "_measure", lambda shape, methods: figures)
    of_block = {"alone": 1.0, "together by winograd": together}
    monkeypatch.setattr(auto, "_measure_dense_block", lambda layers, choices: of_block)
    net = lsr.RRDBNet.random(8, 1, 4)
    assert net.method == "auto"
    layers = describe(net, "random")["layers"]
    for layer in layers:
        assert layer["method"] == (in_blocks if "RDB" in layer["name"] else "kn2row")
    assert layers[0]["gflops"]["direct"] == pytest.approx(2 * 9 * 8 * 3 * timing.SIDE**2 / 3.0 / 1e9)


DENSE_BLOCK = [random_layer(shape) for shape in [(8, 16, 3), (8, 24, 3), (16, 32, 3)]]


@pytest.mark.parametrize("together", [0.5, 2.0])
def test_a_dense_block_is_measured_both_ways_where_winograd_is_not_the_best_everywhere(monkeypatch, together):
    monkeypatch.setattr(auto, "_measure", lambda shape, methods: dict.fromkeys(METHODS, 1.0) | {"direct": 0.9})
    assert set(auto._measure_dense_block(DENSE_BLOCK, {"alone": ["direct"] * 3})) == {"alone"}
    of_block = {"alone": 1.0, "together by winograd": together}
    monkeypatch.setattr(auto, "_measure_dense_block", lambda layers, choices: of_block)
    expected = "winograd" if together < 1 else "direct"
    assert auto.of_dense_block(DENSE_BLOCK, auto.AUTO) == [expected] * 3
    monkeypatch.setattr(auto, "_measure_dense_block", lambda layers, choices: pytest.fail("measured again"))
    assert auto.of_dense_block(DENSE_BLOCK, auto.AUTO) == [expected] * 3
    assert auto.of_dense_block(DENSE_BLOCK, "kn2row") == ["kn2row"] * 3


def test_a_dense_block_by_winograd_alone_is_not_measured(monkeypatch):
    monkeypatch.setattr(auto, "_measure", lambda shape, methods: dict.fromkeys(METHODS, 1.0) | {"winograd": 0.9})
    monkeypatch.setattr(auto, "_measure_dense_block", lambda layers, choices: pytest.fail("measured"))
    assert auto.of_dense_block(DENSE_BLOCK, auto.AUTO) == ["winograd"] * 3
    factorised = [*DENSE_BLOCK[:-1], random_layer((16, 32, 3), "cp", 4)]
    assert auto.of_dense_block(factorised, auto.AUTO) == [auto.concrete(layer, auto.AUTO) for layer in factorised]
