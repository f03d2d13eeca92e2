"""`danku keys`: Web3 Secret Storage v3 files in the workspace's keys folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from danku.cli.completion import key_names
from danku.cli.session import Session, command

if TYPE_CHECKING:
    from danku.crypto.signatures import PrivateKey

app = typer.Typer(name="keys", help="Keys that sign for you.", no_args_is_help=True)

KeyName = Annotated[str, typer.Argument(help="The key's name.", metavar="NAME")]
KnownKey = Annotated[
    str, typer.Argument(help="The key's name.", metavar="NAME", autocompletion=key_names)
]


@command(app, "new", "danku keys new alice")
def new(session: Session, name: KeyName) -> None:
    """Make a new key and write it encrypted to the keys folder."""
    from danku.crypto.signatures import PrivateKey

    _keep(session, name, PrivateKey.generate())


def _keep(session: Session, name: str, key: PrivateKey) -> None:
    from danku.cli.unlock import keep_key
    from danku.crypto.signatures import checksum_address

    path = keep_key(session.workspace.keys, name, key)
    value = {"name": name, "address": key.address, "path": str(path)}

    def show() -> None:
        session.out.tell(f"{name}  {checksum_address(key.address)}")
        session.say(f"encrypted in {path}; whoever loses file or password loses the key")

    session.emit(value, show)


@command(app, "list", "danku keys list")
def list_(session: Session) -> None:
    """List the keys of this workspace; no password is needed."""
    from danku.cli.render import table
    from danku.cli.terminal import verbatim
    from danku.crypto.keystore import listing
    from danku.crypto.signatures import checksum_address

    files = listing(session.workspace.keys)
    value = [
        {"name": file.name, "address": file.address, "exposed": file.exposed} for file in files
    ]
    rows = [
        (
            verbatim(file.name),
            checksum_address(file.address) if file.address else "[red]unreadable[/]",
            "[red]others can read the file: chmod 600[/]" if file.exposed else "",
        )
        for file in files
    ]
    none = "no key here yet; danku keys new NAME makes one"
    shown = table("", ("name", "address", ""), rows) if rows else none
    session.emit(value, lambda: session.out.print(shown))


@command(app, "show", "danku keys show alice")
def show(session: Session, name: KnownKey) -> None:
    """Show one key's address and file."""
    from danku.cli.unlock import address_of_key, find_key_file
    from danku.crypto.signatures import checksum_address

    file = find_key_file(session.workspace.keys, name)
    address = address_of_key(session.workspace.keys, name)
    value = {"name": file.name, "address": address, "path": str(file.path)}
    session.emit(
        value,
        lambda: session.out.tell(f"{file.name}  {checksum_address(address)}  {file.path}"),
    )


@command(app, "import", "danku keys import alice --file ~/wallet.json")
def import_(
    session: Session,
    name: KeyName,
    file: Annotated[
        Path | None, typer.Option("--file", help="A v3 key file; else DANKU_PRIVATE_KEY is taken.")
    ] = None,
) -> None:
    """Take a key from another tool's v3 file, or from DANKU_PRIVATE_KEY, into the keys folder."""
    import os

    from danku.cli.unlock import NoKey, read_password
    from danku.crypto.keystore import unlock
    from danku.crypto.signatures import PrivateKey

    if file is not None:
        key = unlock(file, read_password(f"password of {file}: "))
    elif os.environ.get("DANKU_PRIVATE_KEY"):
        key = PrivateKey.from_hex(os.environ["DANKU_PRIVATE_KEY"].strip())
    else:
        raise NoKey("nothing to import", fix="give --file FILE, or set DANKU_PRIVATE_KEY")
    _keep(session, name, key)


@command(app, "export", "danku keys export alice --to backup.tar --with-private")
def export(
    session: Session,
    name: KnownKey,
    to: Annotated[Path, typer.Option("--to", help="The archive to write; it must not exist.")],
    with_private: Annotated[
        bool, typer.Option("--with-private", help="Also the private folder: nonces, salts, models.")
    ] = False,
) -> None:
    """Back up a key file, still encrypted, and if wanted the private folder, which is not."""
    from danku.cli.unlock import find_key_file
    from danku.roles.backup import write_backup

    file = find_key_file(session.workspace.keys, name)
    if with_private:
        session.confirm("the private folder is written unencrypted; go on?")
    count = write_backup(to, file.path, session.workspace.private if with_private else None)
    value = {"archive": str(to), "files": count}
    session.emit(value, lambda: session.out.tell(f"{to}: {count} files"))


SealedFile = Annotated[Path, typer.Argument(help="The encrypted file.", metavar="FILE")]


@command(app, "seal", "danku keys seal sealed/alice.bin --as alice")
def seal(session: Session, file: SealedFile) -> None:
    """Encrypt the private folder into a file that may lie in public; only your key opens it."""
    from danku.roles.sealing import seal as seal_private

    count = seal_private(session.workspace, session.key, file)
    value = {"file": str(file), "files": count}
    session.emit(value, lambda: session.out.tell(f"{file}: {count} private files, encrypted"))


@command(app, "unseal", "danku keys unseal sealed/alice.bin --as alice")
def unseal(session: Session, file: SealedFile) -> None:
    """Put what `keys seal` encrypted back into the private folder; nothing is overwritten."""
    from danku.roles.sealing import unseal as unseal_private

    count = unseal_private(session.workspace, session.key, file)
    value = {"file": str(file), "restored": count}
    session.emit(value, lambda: session.out.tell(f"{count} private files restored from {file}"))
