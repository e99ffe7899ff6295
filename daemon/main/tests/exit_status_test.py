#!/usr/bin/python3
"""The exit status of holdfastd, and that the unit file keeps systemd from repeating what cannot help."""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HOLDFASTD, PACKAGING = sys.argv[1], pathlib.Path(sys.argv[2])
USAGE, CONFIGURATION, MISSING = 64, 65, 66


class ExitStatus(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        (self.folder / "tls").mkdir()
        # The folder above the state is not there: whatever gets past the checks ends there, before it is a service.
        self.config = (PACKAGING / "holdfast.toml").read_text()
        for option, path in {"tls": "tls", "state": "none/state", "runtime": "none/run"}.items():
            self.config, count = re.subn(rf'(?m)^{option} = ".*"', f'{option} = "{self.folder / path}"', self.config)
            self.assertEqual(count, 1, option)

    def ends(self, status: int, says: str, *argv: str) -> None:
        ended = subprocess.run([HOLDFASTD, *argv], capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(ended.returncode, status, ended.stderr)
        self.assertIn(says, ended.stdout + ended.stderr)

    def ends_with_config(self, status: int, says: str, config: str) -> None:
        path = self.folder / "holdfast.toml"
        path.write_text(config)
        self.ends(status, says, "--config", str(path))

    def certificates(self, *names: str) -> None:
        for name in names:
            (self.folder / "tls" / name).write_text("")

    def test_version(self) -> None:
        self.ends(0, "holdfastd ", "--version")

    def test_wrong_command_line(self) -> None:
        self.ends(USAGE, "usage:", "--unknown")
        self.ends(USAGE, "usage:", "--config")

    def test_wrong_configuration(self) -> None:
        self.certificates("authority.pem", "node.pem", "node.key")
        self.ends_with_config(CONFIGURATION, "holdfast.toml:1", "this is no TOML")
        self.ends_with_config(CONFIGURATION, "levle", self.config.replace("\nlevel =", "\nlevle ="))

    def test_no_configuration(self) -> None:
        self.ends(MISSING, "cluster create", "--config", str(self.folder / "holdfast.toml"))

    def test_no_certificates(self) -> None:
        self.ends_with_config(MISSING, "authority.pem", self.config)
        self.certificates("authority.pem", "node.pem")
        self.ends_with_config(MISSING, "node.key", self.config)

    def test_what_may_pass_is_repeated(self) -> None:
        self.certificates("authority.pem", "node.pem", "node.key")
        self.ends_with_config(1, "none/state", self.config)
        self.ends(1, "cannot read", "--config", str(self.folder))

    def test_unit_file(self) -> None:
        unit = (PACKAGING / "holdfastd.service").read_text()
        prevented = re.search(r"(?m)^RestartPreventExitStatus=(.*)$", unit)
        self.assertIsNotNone(prevented)
        self.assertEqual([int(status) for status in prevented[1].split()], [USAGE, CONFIGURATION, MISSING])
        self.assertRegex(unit, r"(?m)^Restart=on-failure$")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
