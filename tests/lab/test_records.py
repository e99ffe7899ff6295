"""The demonstration's own server and client on loopback: their books must be right before they judge a cluster."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from record_client import RecordClient
from record_service import Damaged, Records, encode

HERE = Path(__file__).resolve().parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """The server as a process, as the cluster would run it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = f"127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "record_service.py"), "--listen", self.address, "--file", str(self.path)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout and "serving" in self.process.stdout.readline()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()
            self.process = None


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "records.log")
    made.start()
    yield made
    made.kill()


def test_everything_acknowledged_is_there(service: Service) -> None:
    client = RecordClient(service.address, interval=0)
    assert client.who() == socket.gethostname()
    client.write(count=200)
    report = client.verify()
    assert (report.acked, report.lost, report.verified, report.damaged) == (200, 0, True, 0)
    assert report.connections >= 1 and report.failures == 0


def test_client_survives_a_restart_and_measures_the_outage(service: Service) -> None:
    client = RecordClient(service.address, interval=0.001)
    writer = threading.Thread(target=lambda: client.write(count=None))
    writer.start()
    try:
        while len(client.acked) < 20:
            time.sleep(0.01)
        service.kill()
        time.sleep(0.7)
        before = len(client.acked)
        service.start()
        while len(client.acked) < before + 20:
            time.sleep(0.01)
    finally:
        client.stop()
        writer.join()
    report = client.verify()
    assert report.verified and report.lost == 0 and report.failures > 0
    assert 0.7 <= report.longest_outage < 10
    assert len(report.outages) == 1


def test_a_lost_record_is_noticed(service: Service) -> None:
    client = RecordClient(service.address, interval=0)
    client.write(count=50)
    service.kill()
    lines = service.path.read_bytes().splitlines(keepends=True)
    service.path.write_bytes(b"".join(lines[:-2]))
    service.start()
    report = client.verify()
    assert report.lost == 2 and report.lost_numbers == [49, 50]


def test_a_repeated_record_is_written_once(tmp_path: Path) -> None:
    records = Records(tmp_path / "r")
    for number in (1, 2, 2, 1, 3):
        records.put(number)
    assert records.all() == encode(1) + encode(2) + encode(3)
    assert len(Records(tmp_path / "r")) == 3


@pytest.mark.parametrize("torn", [b"7", b"7 ", b"7 0123", encode(7)[:-1], b"7 00000000\n", b"\0\0\0\0"])
def test_a_torn_tail_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "r"
    path.write_bytes(encode(1) + encode(2) + torn)
    records = Records(path)
    assert len(records) == 2
    records.put(3)
    assert path.read_bytes() == encode(1) + encode(2) + encode(3)


def test_damage_in_the_middle_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(encode(1) + b"2 00000000\n" + encode(3))
    with pytest.raises(Damaged):
        Records(path)
    done = subprocess.run(
        [sys.executable, str(HERE / "record_service.py"), "--listen", "127.0.0.1:0", "--file", str(path)],
        capture_output=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_service_ends_when_the_disk_fails(tmp_path: Path) -> None:
    """It must not acknowledge, and must not go on with a file whose state it does not know."""
    path = tmp_path / "records.log"
    service = Service(path)
    service.start()
    assert service.process
    # A limit on the file's size stands in for a disk that refuses writes.
    import resource

    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (10, 10))
    client = RecordClient(service.address, interval=0, io_timeout=2)
    client.write(seconds=2)
    assert service.process.wait(10) != 0
    assert len(client.acked) <= 1
    service.kill()


def test_command_line(service: Service, tmp_path: Path) -> None:
    log = tmp_path / "acks"
    client = subprocess.Popen(
        [sys.executable, str(HERE / "record_client.py"), "--connect", service.address, "--interval", "0.001",
         "--log", str(log)], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not log.exists() or log.read_text().count("\n") < 30:
        assert client.poll() is None
        time.sleep(0.05)
    client.send_signal(signal.SIGTERM)
    out, _ = client.communicate(timeout=20)
    report = json.loads(out)
    assert client.returncode == 0 and report["verified"] and report["lost"] == 0
    assert report["acked"] == log.read_text().count("\n")


def test_without_a_service_nothing_is_verified() -> None:
    client = RecordClient(f"127.0.0.1:{free_port()}", connect_timeout=0.1)
    client.write(seconds=0.5)
    report = client.verify(timeout=0.5)
    assert report.acked == 0 and not report.verified and report.longest_outage >= 0.5
