"""Builds the page's script: `make browser`. Needs node and npm; danku itself never does.

Versions and digests of the libraries are fixed in package-lock.json, so that the same sources give
the same bytes. `page.json` beside the script says what it was built from; a test compares that.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ASSETS = HERE.parent / "assets"
LICENCES = ("@noble/curves", "@noble/hashes")
OPTIONS = ("--bundle", "--minify", "--format=iife", "--target=es2022", "--charset=ascii")


def sources() -> list[Path]:
    """What the script follows from."""
    return [HERE / "package.json", HERE / "package-lock.json", *sorted((HERE / "src").glob("*.js"))]


def digest(paths: list[Path]) -> dict[str, str]:
    """SHA-256 of each file, by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def build(target: Path) -> None:
    """Write page.js, the libraries' licences and page.json into a folder.

    Raises:
        subprocess.CalledProcessError: npm or esbuild fails.
    """
    with tempfile.TemporaryDirectory(prefix="danku-browser-") as name:
        folder = Path(name)
        for path in sources()[:2]:
            shutil.copy(path, folder)
        shutil.copytree(HERE / "src", folder / "src")
        run = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        subprocess.run(run, cwd=folder, check=True)
        esbuild = str(folder / "node_modules" / ".bin" / "esbuild")
        words = [esbuild, "src/main.js", *OPTIONS, "--legal-comments=none", "--log-level=warning"]
        subprocess.run([*words, f"--outfile={target / 'page.js'}"], cwd=folder, check=True)
        texts = []
        for library in LICENCES:
            licence = (folder / "node_modules" / library / "LICENSE").read_text("utf-8")
            texts.append(f"{library}, in page.js\n\n{licence.strip()}\n")
        (target / "page.js.LICENSE").write_text("\n---\n\n".join(texts), "utf-8")
    made = {"sources": digest(sources()), "built": digest([target / "page.js"])}
    (target / "page.json").write_text(json.dumps(made, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    if not shutil.which("npm"):
        sys.exit("npm is missing; Debian, Ubuntu: apt-get install nodejs npm")
    build(ASSETS)
    print(f"{ASSETS / 'page.js'}: {(ASSETS / 'page.js').stat().st_size:,} bytes")
