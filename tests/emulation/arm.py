"""An AArch64 Python with danku's dependencies, unpacked into a folder; nothing is installed."""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

from tests.emulation.rows import BUILD, PROJECT, Failed, NotRun, Python, completed, say
from tests.emulation.versions import wanted

FOLDER = BUILD / "aarch64"
SYSTEM = FOLDER / "system"
PACKAGES = FOLDER / "packages"
PLATFORMS = ("_2_28", "_2_27", "_2_26", "_2_17", "2014")


def python(emulator: str) -> Python:
    """The command that starts it; the first call takes a minute.

    Raises:
        NotRun: the tools that fetch and unpack it are missing.
        Failed: they did not work.
    """
    stamp, listed = FOLDER / "complete.txt", "\n".join(wanted())
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != listed:
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise NotRun(f"{tool} is missing: Python for AArch64 comes from Debian or Ubuntu")
        shutil.rmtree(FOLDER, ignore_errors=True)
        _unpack_system()
        _unpack_packages(_interpreter())
        stamp.write_text(listed, encoding="utf-8")
    variables = {"PYTHONHOME": str(SYSTEM / "usr"), "QEMU_LD_PREFIX": str(SYSTEM)}
    paths = [str(PACKAGES), str(PROJECT)]
    return Python((emulator, str(_interpreter())), variables | {"PYTHONPATH": ":".join(paths)})


def _interpreter() -> Path:
    [found] = [path for path in (SYSTEM / "usr/bin").glob("python3.*") if path.suffix[1:].isdigit()]
    return found


def _unpack_system() -> None:
    """Python and what it needs, by apt from the sources of this machine, in folders of our own."""
    say("  aarch64: fetching Python's packages")
    state, archives = FOLDER / "apt", FOLDER / "apt" / "archives"
    for folder in (state / "lists" / "partial", archives / "partial", SYSTEM):
        folder.mkdir(parents=True)
    (state / "status").write_text("")
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
        "Dir::Cache::archives": archives,
        "APT::Sandbox::User": "",
    }
    apt = ["apt-get", *(f"-o{name}={value}" for name, value in options.items()), "--quiet", "--yes"]
    completed([*apt, "update"])
    needed = ["python3-minimal", "libpython3-stdlib", "libstdc++6", "zlib1g"]
    completed([*apt, "install", "--download-only", "--no-install-recommends", *needed])
    for package in sorted(archives.glob("*.deb")):
        completed(["dpkg-deb", "--extract", str(package), str(SYSTEM)])


def _unpack_packages(interpreter: Path) -> None:
    say("  aarch64: fetching the dependencies' wheels")
    wheels = FOLDER / "wheels"
    platforms = [f"--platform=manylinux{each}_aarch64" for each in PLATFORMS]
    version = interpreter.name.removeprefix("python")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    only = ["--only-binary=:all:", f"--python-version={version}", f"--dest={wheels}"]
    completed([*pip, *only, *platforms, *wanted()])
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(PACKAGES)
    if not PACKAGES.exists():
        raise Failed("pip downloaded no wheel")
