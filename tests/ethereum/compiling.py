"""The contracts' artifacts: compiled from their sources, and as they are shipped.

``python -m tests.ethereum.compiling`` writes them anew.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import vyper
from vyper.compiler import compile_from_file_input
from vyper.compiler.input_bundle import FilesystemInputBundle

import danku.ledger.ethereum
from danku.ledger.ethereum.refusals import CONTRACT_RULES
from danku.protocol.errors import RULES

ETHEREUM = Path(danku.ledger.ethereum.__file__).parent
CONTRACTS = ETHEREUM / "contracts"
ARTIFACTS = ETHEREUM / "artifacts"
NAMES = ("Arena", "Court")

_OUTPUTS = ("abi", "bytecode", "bytecode_runtime", "layout")


@lru_cache
def compile_contract(name: str, folder: Path = CONTRACTS) -> dict[str, Any]:
    """The compiler's outputs for a contract, by name."""
    bundle = FilesystemInputBundle([folder])
    with bundle.search_path(folder):
        source = bundle.load_file(f"{name}.vy")
    outputs: dict[str, Any] = compile_from_file_input(
        source, input_bundle=bundle, output_formats=_OUTPUTS
    )
    return outputs


def compiled() -> dict[str, dict[str, Any]]:
    """What is to be shipped of both contracts.

    The arena's ABI is that of both, since it runs the court's code, and has an error a rule, which
    Vyper cannot declare.
    """
    outputs = {name: compile_contract(name) for name in NAMES}
    arena, court = (outputs[name]["abi"] for name in NAMES)
    known = {json.dumps(item, sort_keys=True) for item in arena}
    borrowed = [
        item
        for item in court
        if item["type"] in ("function", "event") and json.dumps(item, sort_keys=True) not in known
    ]
    errors = [
        {"type": "error", "name": rule, "inputs": []} for rule in sorted((*RULES, *CONTRACT_RULES))
    ]
    abis = {"Arena": [*arena, *borrowed, *errors], "Court": court}
    return {
        name: {
            "name": name,
            "compiler": f"vyper {vyper.__version__}",
            "abi": abis[name],
            "bytecode": outputs[name]["bytecode"],
            "runtime": outputs[name]["bytecode_runtime"],
        }
        for name in NAMES
    }


def shipped(name: str) -> dict[str, Any]:
    """An artifact of the package."""
    artifact: dict[str, Any] = json.loads((ARTIFACTS / f"{name}.json").read_text())
    return artifact


def main() -> None:
    """Write the artifacts."""
    ARTIFACTS.mkdir(exist_ok=True)
    for name, artifact in compiled().items():
        (ARTIFACTS / f"{name}.json").write_text(json.dumps(artifact, indent=1) + "\n")
        print(f"{name}: {len(artifact['runtime']) // 2 - 1} bytes of runtime code")


if __name__ == "__main__":
    main()
