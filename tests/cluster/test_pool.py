import os
import signal
import time
from itertools import islice

import numpy as np
import pytest
from cluster_processes import running_cluster
from distributed import Client

import lowrank_sr as lsr
from lowrank_sr.cluster import connection, worker
from lowrank_sr.cluster import pool as pool_of_workers
from lowrank_sr.cluster.pool import TASKS_A_WORKER, Pool
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.errors import InputError
from lowrank_sr.network import auto, rrdbnet


@pytest.fixture(scope="module")
def pool(cluster):
    with connection.connected(cluster.address) as pool:
        yield pool


@pytest.fixture
def tiny():
    return lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4)


def root(number):
    if number < 0:
        raise InputError(f"{number}: expected a number from 0")
    return number**0.5


def called(net, image):
    """The process, whether it had prepared the network before, and the enlarged image."""
    prepared = "_convolutions" in net.__dict__
    return os.getpid(), prepared, net(image)


def die_once(marker):
    """Leave the process's number in `marker` and die; where there is one already, return it and this one's."""
    if not marker.exists():
        marker.write_text(str(os.getpid()))
        die()
    return int(marker.read_text()), os.getpid()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_with_their_labels_and_errors_cost_their_call_alone(pool):
    results = dict(pool.run(root, ((number, (number,)) for number in (4, -1, 9))))
    assert (results[4], results[9]) == (2, 3)
    assert isinstance(results[-1], InputError)
    assert str(results[-1]) == "-1: expected a number from 0"


def test_calls_are_taken_as_the_workers_get_to_them(pool):
    taken = []

    def calls():
        for number in range(40):
            taken.append(number)
            yield number, (number,)

    for done, _ in enumerate(pool.run(root, calls())):
        assert len(taken) - done <= TASKS_A_WORKER * 2  # workers


def pause(seconds):
    time.sleep(seconds)


def test_results_in_order_keep_as_few_on_their_way(pool):
    taken = []

    def calls():
        for number in range(12):
            taken.append(number)
            yield number, (0.5 if number == 0 else 0.0,)

    for done, (number, _) in enumerate(pool.run(pause, calls(), in_order=True)):
        assert number == done
        assert len(taken) - done <= TASKS_A_WORKER * 2


def test_a_network_is_prepared_by_each_worker_not_by_each_call_and_gives_the_bytes_of_here(pool, tiny):
    image = np.random.default_rng(0).random((20, 19, 3), dtype=np.float32)
    sent = pool.send(tiny)
    results = [result for _, result in pool.run(called, ((i, (sent, image)) for i in range(30)))]
    workers = {process for process, _, _ in results}
    assert len(workers) == 2
    assert os.getpid() not in workers
    # Once a worker; but Dask takes a copy from a worker that is idle for seconds, and sends it again when it is needed.
    assert 2 <= sum(not prepared for _, prepared, _ in results) < 10
    here = tiny(image).tobytes()
    assert all(out.tobytes() == here for _, _, out in results)


def test_the_choices_of_auto_travel(pool, monkeypatch, tiny):
    for method in METHODS:  # as if each were the fastest here; the workers have times of their own
        monkeypatch.setattr(auto, "fastest", lambda shape, method=method: method)
        monkeypatch.setattr(rrdbnet, "of_dense_block", lambda layers, _, method=method: [method] * len(layers))
        net = tiny.with_method("auto")
        ((_, methods),) = pool.run(_methods, [(0, (pool.send(net),))])
        assert methods == dict.fromkeys(tiny.layers, method)
        assert net.with_choices().method == "auto"


def _methods(net):
    return dict(net.methods)


def test_a_worker_of_another_build_is_refused(cluster, pool, monkeypatch):
    has = f"lowrank_sr {lsr.__version__}"
    monkeypatch.setattr(worker, "__version__", "0.0.1")
    with (
        pytest.raises(InputError, match=rf"tcp://.*: the worker has {has}, .*: expected lowrank_sr 0\.0\.1"),
        connection.connected(cluster.address),
    ):
        pass
    with pytest.raises(InputError, match=f"the worker has {has}"):  # one that has joined since
        list(pool.run(root, [(1, (1,))]))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "carrier-pigeon://host:1"])
def test_an_address_without_a_scheduler(address, monkeypatch):
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError, match=f"{address}: no scheduler answers"), connection.connected(address):
        pass


def test_an_encrypted_address_without_certificates():
    address = "tls://127.0.0.1:9"
    with pytest.raises(InputError, match=f"{address}: no certificates for it"), connection.connected(address):
        pass


@pytest.mark.parametrize("step", ["Client", "Client.wait_for_workers", "Client.run", "Client.get_versions"])
def test_a_scheduler_that_dies_while_it_is_reached(cluster, monkeypatch, step):
    def lost(*arguments, **options):
        raise OSError("lost")

    monkeypatch.setattr(f"distributed.{step}", lost)
    with (
        pytest.raises(InputError, match=f"{cluster.address}: no scheduler answers"),
        connection.connected(cluster.address),
    ):
        pass


def test_all_workers_are_counted(tmp_path, monkeypatch):
    """Also where Dask's client asks for five of them or, for a heartbeat, for none."""

    class Scheduler:
        @staticmethod
        def identity(n_workers):
            workers = {f"tcp://host:{i}": {"memory_limit": 10 - i} for i in range(7)}
            return {"workers": dict(islice(workers.items(), 7 if n_workers == -1 else n_workers))}

    class Client:
        scheduler = Scheduler

        @staticmethod
        def sync(function, **arguments):
            return function(**arguments)

    pool = Pool(Client, "tcp://host:0", shared_files=False)
    assert pool.memory_limit() == 4
    assert pool._count_workers() == 7


@pytest.mark.slow
def test_what_is_shared_waits_only_so_long_for_a_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(pool_of_workers, "PATIENCE_SECONDS", 0.5)
    with (
        running_cluster(tmp_path, 0) as cluster,
        Client(cluster.address, set_as_default=False) as client,
        pytest.raises(InputError, match=f"{cluster.address}: has no worker left"),
    ):
        Pool(client, cluster.address, shared_files=False).share(1)


@pytest.mark.slow
def test_what_is_shared_is_an_error_where_it_kills_all_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(pool_of_workers, "_itself", lambda value: die())
    with (
        running_cluster(tmp_path, 1, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as cluster,
        connection.connected(cluster.address) as pool,
        pytest.raises(InputError, match=f"{cluster.address}: 1 worker died while receiving"),
    ):
        pool.share(1)


@pytest.mark.slow
def test_a_dead_worker_s_call_is_made_again_and_is_an_error_where_they_all_die(tmp_path):
    with (
        running_cluster(tmp_path, 1, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1") as cluster,
        connection.connected(cluster.address) as pool,
    ):
        ((_, (dead, living)),) = pool.run(die_once, [(0, (tmp_path / "marker",))])
        assert dead != living
        ((_, error),) = pool.run(die, [(0, ())], name=lambda label: f"picture {label}")
    assert str(error).startswith("picture 0: 2 workers died while computing it")


@pytest.mark.slow
def test_a_scheduler_that_dies(tmp_path, capfd):
    with running_cluster(tmp_path, 1) as cluster, connection.connected(cluster.address) as pool:
        results = pool.run(root, ((number, (number,)) for number in range(1000)))
        next(results)
        cluster.scheduler.kill()
        with pytest.raises(InputError, match=f"{cluster.address}: the connection to the scheduler is lost"):
            list(results)
    assert "Traceback" not in capfd.readouterr().err  # Dask's own words on what happened
