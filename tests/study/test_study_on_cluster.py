"""The steps that take no times, on workers."""

import pytest

pytest.importorskip("distributed")

from cluster_processes import running_cluster
from tiny_study import opened

from lowrank_sr.cli import main
from lowrank_sr.cluster import connection
from lowrank_sr.study.encoding import encode
from lowrank_sr.study.run import measured, steps


@pytest.mark.slow
def test_workers_find_what_this_process_finds(root, tmp_path):
    for name in ("here", "there", "dask"):
        (tmp_path / name).mkdir()
    here = opened(root, tmp_path / "here")
    there = opened(root, tmp_path / "there")
    todo = steps(there)
    anywhere = [name for name, step in todo.items() if step.anywhere]
    assert {name.partition("/")[0] for name in anywhere} == {"quality", "blur", "ablation", "alone"}
    timed = "network"
    with running_cluster(tmp_path / "dask", 2) as cluster, connection.connected(cluster.address, True) as pool:
        found = list(measured(there, todo, [timed, *anywhere], pool, lambda text: None))
    assert [name for name, _ in found][-1] == timed
    assert len(list((tmp_path / "there" / "tiny" / "networks").iterdir())) == 2  # svd and svd-fitted
    expected = {name: encode(step.measure()) for name, step in steps(here).items() if name in dict(found)}
    assert dict(found) == expected


def test_the_workers_need_the_folder(capsys):
    assert main(["study", "--cluster", "tcp://127.0.0.1:9"]) == 2
    assert "expected --shared-files" in capsys.readouterr().err
