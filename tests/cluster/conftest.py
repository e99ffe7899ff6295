"""Fixtures of the cluster tests: real holdfastd processes in network namespaces."""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from hfcluster import BUILD, Cluster  # noqa: E402

REPEAT = int(os.environ.get("HOLDFAST_REPEAT", "1"))


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit("the cluster tests make network namespaces: run them as root", 2)
    if not (BUILD / "bin/holdfastd").exists():
        pytest.exit(f"no holdfastd in {BUILD}/bin: './run build' first", 2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Cluster):
                value.failed = True


@pytest.fixture
def three():
    """A cluster of three members."""
    with Cluster(3) as cluster:
        yield cluster
