"""The private folder as an encrypted file that may lie in public: for CI, which keeps no disk.

The file is AES-256-GCM under a key that only the holder of the signing key can derive; inside is a
tar of the challenges' folders. Caches and remembered heads are not in it: a machine makes its own.
"""

from __future__ import annotations

import io
import re
import secrets
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from danku.errors import DataError
from danku.roles.workspace import Workspace
from danku.storage.files import NewFile, make_folder

if TYPE_CHECKING:
    from Crypto.Cipher._mode_gcm import GcmMode

    from danku.crypto.signatures import PrivateKey

_HEADER = b"danku-sealed-1\n"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_MEMBER = re.compile(r"0x[0-9a-f]{64}(/[A-Za-z0-9][A-Za-z0-9._-]{0,199}){1,3}")


class SealBroken(DataError):
    """The file was not sealed with this key, or was changed since."""


class PrivateDiffers(DataError):
    """The private folder holds other bytes under a name than the sealed file."""


def seal(workspace: Workspace, key: PrivateKey, target: Path) -> int:
    """Write the private files of all challenges to ``target``, encrypted; how many there are.

    What an older sealed file of the same key holds besides stays in it.

    Raises:
        SealBroken: ``target`` is something else.
        PrivateDiffers: it holds other bytes under a name than the private folder.
    """
    sealed = _open(key, target) if target.exists() else {}
    files = _joined(sealed, _private_files(workspace.private))
    if target.exists() and files == sealed:
        return len(files)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))
    nonce = secrets.token_bytes(_NONCE_BYTES)
    content, tag = _cipher(key, nonce).encrypt_and_digest(archive.getvalue())
    make_folder(target.parent)
    with NewFile(target.parent) as draft:
        for part in (_HEADER, nonce, tag, content):
            draft.write(part)
        draft.keep(target)
    return len(files)


def unseal(workspace: Workspace, key: PrivateKey, source: Path) -> int:
    """Put what is sealed in ``source`` into the private folder; how many files were missing there.

    Raises:
        SealBroken: another key's, or damaged.
        PrivateDiffers: a file is there with other bytes; then nothing is written.
    """
    files = _open(key, source)
    present = _private_files(workspace.private)
    _joined(files, present)
    missing = [name for name in files if name not in present]
    for name in missing:
        path = workspace.private / name
        make_folder(path.parent, mode=0o700)
        with NewFile(path.parent, mode=0o600) as draft:
            draft.write(files[name])
            draft.keep(path)
    return len(missing)


def _joined(sealed: dict[str, bytes], present: dict[str, bytes]) -> dict[str, bytes]:
    differing = [name for name, data in sealed.items() if present.get(name, data) != data]
    if differing:
        raise PrivateDiffers(
            f"{differing[0]} differs from the sealed one, and {len(differing) - 1} more",
            why="both may be needed to open a commitment, so neither is overwritten",
            fix="move the private folder away, unseal, and compare the two",
        )
    return {**sealed, **present}


def _private_files(private: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(private.glob("0x*/**/*")):
        name = path.relative_to(private).as_posix()
        if path.is_file() and _MEMBER.fullmatch(name):
            found[name] = path.read_bytes()
    return found


def _cipher(key: PrivateKey, nonce: bytes) -> GcmMode:
    from Crypto.Cipher import AES

    return AES.new(key.derive("seal"), AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)


def _open(key: PrivateKey, source: Path) -> dict[str, bytes]:
    data = source.read_bytes()
    body = len(_HEADER) + _NONCE_BYTES + _TAG_BYTES
    nonce, tag = data[len(_HEADER) : body - _TAG_BYTES], data[body - _TAG_BYTES : body]
    broken = SealBroken(
        f"{source} is not sealed with this key, or was changed",
        fix="name the key that sealed it with --as, or restore the file",
    )
    if not data.startswith(_HEADER) or len(data) < body:
        raise broken
    try:
        archive = _cipher(key, nonce).decrypt_and_verify(data[body:], tag)
    except ValueError:
        raise broken from None
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if content is None or not _MEMBER.fullmatch(member.name):
                raise broken
            files[member.name] = content.read()
    return files
