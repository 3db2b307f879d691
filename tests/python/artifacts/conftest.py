import pytest


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    """The address of a cluster of two workers."""
    from dask_cluster import Cluster

    with Cluster(tmp_path_factory.mktemp("cluster"), 2) as cluster:
        yield cluster.address
