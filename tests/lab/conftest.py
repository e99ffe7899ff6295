"""Fixtures for tests on virtual machines.

A module says what lab it wants with `LAB = dict(nodes=2, …)` (the arguments of `holdfast_lab.Lab`) and asks for the
fixture `lab`; the machines boot once a module. A module that must compute them overrides the fixture `lab_options`. When a test fails, consoles, journals and states of all machines are
saved below $HOLDFAST_ARTIFACTS/<test>.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from holdfast_lab import Lab, config

_figures: list[str] = []
_report_key = pytest.StashKey[dict[str, pytest.CollectReport]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)
            if os.geteuid() != 0 or not shutil.which("qemu-system-x86_64"):
                item.add_marker(pytest.mark.skip(reason="needs root and QEMU (tests/lab/lab.py deps)"))


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    item.stash.setdefault(_report_key, {})[report.when] = report


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The build under test as a DESTDIR tree: $HOLDFAST_STAGE, or installed from $HOLDFAST_BUILD (build/release)."""
    stage = os.environ.get("HOLDFAST_STAGE")
    if stage:
        return Path(stage)
    build = Path(os.environ.get("HOLDFAST_BUILD", config.REPOSITORY / "build" / "release"))
    if not (build / "cmake_install.cmake").exists():
        return None
    target = tmp_path_factory.mktemp("stage")
    subprocess.run(
        ["cmake", "--install", str(build), "--prefix", "/usr", "--strip"],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "DESTDIR": str(target)},
    )  # fmt: skip
    return target


def _artifacts(name: str) -> Path:
    return config.ARTIFACTS / re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")


@pytest.fixture(scope="module")
def lab_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Arguments of `Lab` for this module."""
    return dict(getattr(request.module, "LAB", {}))


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, lab_options: dict[str, Any]) -> Iterator[Lab]:
    """A booted lab as the module's LAB says; "product": True lays the build under test over the nodes."""
    wanted = dict(lab_options)
    if wanted.get("product") is True:
        wanted["product"] = request.getfixturevalue("product")
        if wanted["product"] is None:
            pytest.skip("no build to install (HOLDFAST_BUILD or HOLDFAST_STAGE)")
    with Lab(**wanted) as made:
        try:
            made.start()
        except BaseException:
            made.dump(_artifacts(request.module.__name__ + "-boot"))
            raise
        yield made


@pytest.fixture
def figures(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a measured figure at once, past pytest's capture (campaigns take hours), and again at the end of the run."""

    def note(text: str) -> None:
        _figures.append(text)
        with capsys.disabled():
            print(f"\n  {text}", end="", flush=True)

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.section("figures")
        for text in _figures:
            terminalreporter.line(text)


@pytest.fixture(autouse=True)
def _save_what_happened(request: pytest.FixtureRequest) -> Iterator[None]:
    wanted = "lab" in request.fixturenames
    made: Lab | None = request.getfixturevalue("lab") if wanted else None
    yield
    report = request.node.stash.get(_report_key, {}).get("call")
    if made and report is not None and report.failed:
        where = made.dump(_artifacts(request.node.nodeid.rpartition("/")[2]))
        print(f"\nconsoles and journals: {where}")
