"""A terminal in a throw-away folder: `danku` in this process, everything else by bash."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from danku.cli.app import main
from tests.cli.driver import PASSWORD

HUB = "https://git.example.org/"
"""Where pages say that the shared repository is; git looks for it beside the test's folders."""
WIDTH = "100"
_EXIT = re.compile(r"# exit code (\d)")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what stood in the terminal."""

    code: int
    said: str


@dataclass
class Shell:
    """Somebody's terminal; `cd` and `export` last."""

    folder: Path
    environment: dict[str, str]

    @classmethod
    def at(cls, root: Path, name: str, **environment: str) -> Shell:
        """A terminal in the folder ``name`` of a test's folder ``root``."""
        folder = root / name
        folder.mkdir()
        config = root / "gitconfig"
        config.write_text(
            "[user]\nname = somebody\nemail = somebody@example.org\n"
            f'[url "{root}/"]\ninsteadOf = {HUB}\n'
        )
        kept = {key: each for key, each in os.environ.items() if not key.startswith("DANKU_")}
        own = {
            "COLUMNS": WIDTH,
            "HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_EDITOR": "true",
            "DANKU_PASSWORD": PASSWORD,
        }
        return cls(folder, {**kept, **own, **environment})

    def run(self, line: str) -> str:
        """Run a line of a page, and say what then stands in the terminal.

        Raises:
            AssertionError: a command did not end as the page says.
        """
        wanted = _EXIT.search(line)
        said = ""
        for command in line.partition(" #")[0].split("&&"):
            ended = self._command(command.strip())
            said += ended.said
            if ended.code != 0:
                break
        assert ended.code == (int(wanted[1]) if wanted else 0), f"{line}\n{said}"
        return said

    def _command(self, text: str) -> Ended:
        name, *words = shlex.split(text) or [""]
        if name == "cd":
            self.folder = (self.folder / words[0]).resolve(strict=True)
        elif name in ("export", "unset"):
            listed = self._bash(f"{text} && env -0").said
            self.environment = dict(each.split("=", 1) for each in listed.split("\0") if each)
        elif name == "danku":
            return self._danku(words)
        elif name:
            return self._bash(text)
        return Ended(0, "")

    def _bash(self, text: str) -> Ended:
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        return Ended(done.returncode, done.stdout)

    def _danku(self, words: list[str]) -> Ended:
        """Run it with --yes, since nobody is here to be asked."""
        said, code = io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, contextlib.chdir(self.folder):
            for name in set(os.environ) - set(self.environment):
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["danku", *words, "--yes"])
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                try:
                    main()
                except SystemExit as end:
                    code = int(end.code or 0)
        return Ended(code, said.getvalue())
