"""Consoles that show what others wrote, and are neither coloured nor steered by it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

UNSHOWN = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """The text with escape codes, other control characters and invisible ones made visible."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else UNSHOWN
        for character in text
    )


def verbatim(text: str, style: str = "") -> Text:
    """What others wrote, to be shown as it is: nothing in it is markup."""
    return Text(printable(text), style)


class Terminal(Console):
    """A console that prints markup of our own; what others wrote goes through `verbatim`."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """See rich; every string that is printed or stands in a table comes through here."""
        return super().render_str(printable(text), **options)

    def tell(self, *parts: str | tuple[str, str]) -> None:
        """A line of plain parts, some with a style: (text, style).

        Nothing in them is markup, and the line is not folded, so that what it names can be copied.
        """
        pairs = [part if isinstance(part, tuple) else (part, "") for part in parts]
        self.print(Text.assemble(*(verbatim(*pair) for pair in pairs)), soft_wrap=True)
