from types import SimpleNamespace

import distributed

from lowrank_sr.cluster.worker import build, perform
from lowrank_sr.errors import InputError


def test_too_little_memory_costs_the_task_alone(monkeypatch):
    def large():
        raise MemoryError

    monkeypatch.setattr(distributed, "get_worker", lambda: SimpleNamespace(address="tcp://here:1"))
    result = perform(build(), large)
    assert isinstance(result, InputError)
    assert str(result).startswith("tcp://here:1: the worker has too little memory")
