"""What there is to export: a network, its inputs, and how."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

DYNAMIC, FIXED = "dynamic", "fixed"


class Bundle(nn.Module):
    """Layers or functions that all take the one input; the outputs of all are the network's.

    Args:
        parts: by name; one that an exporter does not know is left out for that exporter.
    """

    def __init__(self, **parts: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.parts = parts
        self.layers = nn.ModuleDict(
            {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
        )

    def only(self, names: Sequence[str]) -> Bundle:
        """The same without the other parts."""
        return Bundle(**{name: self.parts[name] for name in names})

    def double(self) -> Bundle:
        """A copy in float64."""
        return Bundle(
            **{
                name: copy.deepcopy(part).double() if isinstance(part, nn.Module) else part
                for name, part in self.parts.items()
            }
        ).eval()

    def forward(self, x: Tensor) -> list[Tensor]:
        found = [listed(part(x)) for part in self.parts.values()]
        return [tensor for part in found for tensor in part]


def listed(outputs: Any) -> list[Tensor]:
    """The outputs of a network that has one or several."""
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


@dataclass(frozen=True)
class Case:
    """One network, to be exported by both exporters.

    Args:
        build: makes the network; random numbers are seeded before.
        inputs: makes its inputs; the first axis of each is the batch.
        batch: whether the exporters are told that the batch may be of any size.
        steps: of training, before the export.
        opset: for the TorchScript exporter; the other has its own.
        newest: whether the other exports it once more, with the newest opset it has.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], Sequence[Tensor]]
    batch: str = DYNAMIC
    steps: int = 0
    opset: int = 17
    newest: bool = False


def normal(*shape: int) -> Callable[[], Sequence[Tensor]]:
    """One input of normally distributed numbers."""
    return lambda: [torch.randn(shape)]


def tokens(vocabulary: int, *shape: int) -> Callable[[], Sequence[Tensor]]:
    """Numbers of words; 0 fills the ends of the shorter texts."""

    def made() -> Sequence[Tensor]:
        found = torch.randint(1, vocabulary, shape)
        lengths = torch.randint(2, shape[1] + 1, (shape[0], 1))
        return [torch.where(torch.arange(shape[1]) < lengths, found, 0)]

    return made


def bundle(
    name: str, parts: Callable[[], dict[str, Callable[..., Any]]], *shape: int, **more: Any
) -> Case:
    """A case of several parts that take one input."""
    return Case(name, lambda: Bundle(**parts()), normal(*shape), **more)
