"""Which of an IPFS node's pins are danku's: it never takes back one that somebody else made."""

from __future__ import annotations

import time
from pathlib import Path

from danku.errors import DataError
from danku.storage.cid import check_cid
from danku.storage.files import NewFile, make_folder


class Pins:
    """A folder with a small file for each pin, named by the CID: when we asked for it.

    A pin is noted before it is made, so that none is forgotten, whatever is killed in between.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def note(self, cid: str) -> None:
        """Remember, durably, that a pin is ours; an older note stays."""
        if self.has(cid):
            return
        make_folder(self.folder, 0o700)
        with NewFile(self.folder, 0o600) as file:
            file.write(b"%d\n" % time.time())
            file.keep(self.folder / check_cid(cid))

    def has(self, cid: str) -> bool:
        """Whether a pin is ours."""
        return (self.folder / check_cid(cid)).is_file()

    def forget(self, cid: str) -> None:
        """A pin is no more."""
        (self.folder / check_cid(cid)).unlink(missing_ok=True)

    def all(self) -> dict[str, int]:
        """Our pins, and when each was noted, in seconds since the epoch.

        Raises:
            DataError: a note was damaged.
        """
        found = {}
        for path in sorted(self.folder.glob("baf*")):
            text = path.read_text("utf-8", errors="replace").strip()
            if not (text.isascii() and text.isdigit() and len(text) < 16):
                raise DataError(
                    f"{path} does not say when a blob was pinned",
                    why="it was damaged, or written by something else",
                    fix=f"delete it; `ipfs pin rm {path.name}` takes the pin back by hand",
                )
            found[check_cid(path.name)] = int(text)
        return found
