import pytest

pytest.importorskip("distributed")

from cluster_processes import running_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A scheduler with two workers."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), 2) as cluster:
        yield cluster
