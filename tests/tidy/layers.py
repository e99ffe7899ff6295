#!/usr/bin/python3
"""The dependency rule: base <- proto <- core <- host <- adapters <- main. Fails on an include that points upwards.

The core must stay pure: no system headers, no clocks, threads or randomness of its own (docs/ARCHITECTURE.md).
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Which prefixes of include paths each part may use, besides its own.
ALLOWED = {
    "daemon/base": [],
    "daemon/core": ["base/", "proto/"],
    "daemon/host": ["base/", "proto/", "core/"],
    "daemon/pki": ["base/", "proto/"],
    "daemon/config": ["base/"],
    "daemon/monitor": ["base/", "proto/", "iscsi/", "netaddr/", "fs-hooks/", "resources/", "holdfast/"],
    "daemon/adapters": ["base/", "proto/", "core/", "host/", "pki/", "config/", "iscsi/"],
    "daemon/main": ["base/", "proto/", "core/", "host/", "adapters/", "pki/", "config/", "iscsi/"],
    "iscsi": ["base/"],
    "netaddr": ["base/"],
    "fs-hooks": ["base/"],
    "resources": ["base/", "iscsi/", "netaddr/", "fs-hooks/", "holdfast/", "monitor/"],
    "client": ["base/", "proto/", "holdfast/"],
    "cli": ["base/", "proto/", "client/", "config/", "pki/", "iscsi/", "holdfast/", "adapters/quorum_disk/", "core/log/"],
}
OWN = {"daemon/base": "base/", "daemon/core": "core/", "daemon/host": "host/", "daemon/pki": "pki/", "daemon/config": "config/",
       "daemon/monitor": "monitor/", "daemon/adapters": "adapters/", "daemon/main": "main/", "iscsi": "iscsi/", "netaddr": "netaddr/",
       "fs-hooks": "fs-hooks/", "resources": "resources/", "client": "client/", "cli": "cli/"}
KNOWN = tuple(sorted({p for ps in ALLOWED.values() for p in ps} | set(OWN.values())))
IMPURE = re.compile(r"#include <(sys/|unistd|thread|mutex|chrono|random|condition_variable|atomic|time\.h|ctime|errno|cerrno|"
                    r"unordered_|fcntl|poll|netinet|spdlog|asio)")


def main() -> int:
    problems = []
    for part, allowed in ALLOWED.items():
        for path in sorted((ROOT / part).rglob("*")):
            if path.suffix not in (".h", ".cc", ".c") or "/tests/" in str(path) or path.name.endswith("_test.cc"):
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                where = f"{path.relative_to(ROOT)}:{number}"
                include = re.match(r'\s*#include "([^"]+)"', line)
                if include and include[1].startswith(KNOWN) and not include[1].startswith((OWN[part], *allowed)):
                    problems.append(f"{where}: {part} may not include {include[1]}")
                if part == "daemon/core" and IMPURE.match(line) and "_doc_main" not in path.name:
                    problems.append(f"{where}: the core is pure, but this is {line.strip()}")
                if part == "daemon/core" and re.search(r"\b(getenv|clock_gettime|gettimeofday|rand|std::random_device)\s*\(", line):
                    problems.append(f"{where}: the core is pure, but calls {line.strip()}")
    print("\n".join(problems) if problems else "layers: no include points upwards, and the core is pure")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
