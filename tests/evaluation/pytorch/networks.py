"""Whole networks for tables, images, texts and sequences, small ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.evaluation.pytorch.case import FIXED, Case, normal, tokens


class Residual(nn.Module):
    def __init__(self, inward: int, outward: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inward, outward, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outward),
            nn.ReLU(),
            nn.Conv2d(outward, outward, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outward),
        )
        self.skip = nn.Sequential(
            nn.Conv2d(inward, outward, 1, stride, bias=False), nn.BatchNorm2d(outward)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.skip(x))


def residual_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        Residual(8, 8, 1),
        Residual(8, 16, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 5),
    )


class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, channels // 4, 1)
        self.up = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = functional.relu(self.down(x.mean((2, 3), keepdim=True)))
        return x * functional.hardsigmoid(self.up(weights))


def mobile_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.Hardswish(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        SqueezeExcitation(8),
        nn.Conv2d(8, 12, 1),
        nn.Conv2d(12, 12, 3, padding=2, dilation=2, groups=12),
        nn.BatchNorm2d(12),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(12 * 6 * 6, 4),
    )


class Unet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 12, 3, padding=1)
        self.bottom = nn.Conv2d(12, 12, 3, padding=1)
        self.up = nn.ConvTranspose2d(12, 6, 2, 2)
        self.last = nn.Conv2d(12, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = functional.relu(self.first(x))
        second = functional.relu(self.second(functional.max_pool2d(first, 2)))
        bottom = functional.relu(self.bottom(functional.avg_pool2d(second, 2)))
        middle = functional.interpolate(bottom, scale_factor=2, mode="bilinear") + second
        return self.last(torch.cat([self.up(middle), first], 1)).sigmoid()


class Recurrent(nn.Module):
    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.layer(x)
        return self.head(states[:, -1])


class Words(nn.Module):
    """The mean of the words' vectors, those that fill up left out."""

    def __init__(self, vocabulary: int, width: int, classes: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, width, padding_idx=0)
        self.head = nn.Sequential(nn.Linear(width, 16), nn.Tanh(), nn.Linear(16, classes))

    def forward(self, words: Tensor) -> Tensor:
        there = (words != 0).unsqueeze(-1).to(self.table.weight.dtype)
        total = (self.table(words) * there).sum(1)
        return self.head(total / there.sum(1).clamp(min=1.0)).log_softmax(-1)


class Reader(nn.Module):
    """A transformer encoder over words, with positions added."""

    def __init__(self, vocabulary: int, length: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        angles = torch.arange(length)[:, None] / 50 ** (torch.arange(0, width, 2) / width)
        waves = torch.stack([angles.sin(), angles.cos()], -1).reshape(length, width)
        self.register_buffer("positions", waves)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 4)

    def forward(self, words: Tensor) -> Tensor:
        x = self.table(words) * math.sqrt(self.table.embedding_dim) + self.positions
        return self.head(self.encoder(x).mean(1))


class Block(nn.Module):
    """Attention by scaled_dot_product_attention, then a gated layer; normed before both."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.parts = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.gate = nn.Linear(width, 4 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.parts(self.norms[0](x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        x = x + self.out(found.transpose(1, 2).flatten(2))
        gate, values = self.gate(self.norms[1](x)).chunk(2, -1)
        return x + self.down(functional.silu(gate) * values)


class Writer(nn.Module):
    """Scores of the next word, by a causal decoder with learned positions."""

    def __init__(self, vocabulary: int, length: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, 4, causal=True) for _ in range(2)))
        self.norm = nn.LayerNorm(width)

    def forward(self, words: Tensor) -> Tensor:
        places = torch.arange(words.shape[1], device=words.device)
        x = self.norm(self.blocks(self.table(words) + self.places(places)))
        return x @ self.table.weight.T


class Patches(nn.Module):
    """A vision transformer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, width, 4, 4)
        self.summary = nn.Parameter(torch.randn(1, 1, width) / 10)
        self.places = nn.Parameter(torch.randn(1, 10, width) / 10)
        self.blocks = nn.Sequential(*(Block(width, 3, causal=False) for _ in range(2)))
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.cut(x).flatten(2).transpose(1, 2)
        summary = self.summary.expand(x.shape[0], -1, -1)
        return self.head(self.blocks(torch.cat([summary, patches], 1) + self.places)[:, 0])


class Columns(nn.Module):
    """A table of floats, whose last columns are categories."""

    def __init__(self, numbers: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.numbers = numbers
        self.tables = nn.ModuleList(nn.Embedding(size, 4) for size in sizes)
        self.norm = nn.BatchNorm1d(numbers)
        self.body = nn.Sequential(
            nn.Linear(numbers + 4 * len(sizes), 24), nn.GELU(), nn.Dropout(), nn.Linear(24, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.norm(x[:, : self.numbers])]
        for place, table in enumerate(self.tables):
            parts.append(table(x[:, self.numbers + place].long()))
        return self.body(torch.cat(parts, 1)).softmax(-1)


class Causal(nn.Module):
    """Dilated convolutions that see the past only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(nn.Conv1d(channels, channels, 3, dilation=2**k))
            for k in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            padded = functional.pad(x, (2 * layer.dilation[0], 0))
            x = x + functional.elu(layer(padded))
        return x[:, :, -1]


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 4)
    )


def wide_mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(600, 20), nn.ReLU(), nn.Linear(20, 3))


def wide_cnn() -> nn.Module:
    """Sums of more products than the profile's blocks have."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 6, 3), nn.Flatten(), nn.Linear(96, 3)
    )


def autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4, 8, 3, 2, 1),
        nn.Flatten(),
        nn.Linear(32, 6),
        nn.Linear(6, 32),
        nn.Unflatten(1, (8, 2, 2)),
        nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1),
        nn.ELU(),
        nn.ConvTranspose2d(4, 1, 4, 2, 1),
        nn.Sigmoid(),
    )


def mixed_columns() -> list[Tensor]:
    return [torch.cat([torch.randn(16, 5), torch.randint(0, 6, (16, 2)).float()], 1)]


def lstm(**more: bool) -> nn.Module:
    return Recurrent(nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True, **more), 16)


NETWORKS = [
    Case("mlp", mlp, normal(32, 10), steps=30, opset=13),
    Case("mlp-fixed-batch", mlp, normal(4, 10), FIXED),
    Case("mlp-single-row", mlp, normal(1, 10), FIXED),
    Case("mlp-wide", wide_mlp, normal(4, 600), steps=3),
    Case("cnn-wide", wide_cnn, normal(2, 3, 8, 8), steps=3),
    Case("cnn-residual", residual_cnn, normal(4, 3, 12, 12), steps=8),
    Case("cnn-mobile", mobile_cnn, normal(3, 3, 12, 12), steps=5),
    Case("unet", Unet, normal(2, 1, 16, 16)),
    Case("autoencoder", autoencoder, normal(4, 1, 8, 8), steps=10),
    Case("lstm", lstm, normal(4, 7, 6), steps=5),
    Case("lstm-fixed-batch", lstm, normal(3, 5, 6), FIXED),
    Case("gru", lambda: Recurrent(nn.GRU(6, 8, 2, batch_first=True), 8), normal(4, 7, 6), steps=5),
    Case(
        "rnn",
        lambda: Recurrent(nn.RNN(6, 8, 3, batch_first=True, bidirectional=True), 16),
        normal(4, 7, 6),
    ),
    Case(
        "rnn-relu",
        lambda: Recurrent(nn.RNN(6, 8, nonlinearity="relu", batch_first=True), 8),
        normal(4, 7, 6),
    ),
    Case("text-mean", lambda: Words(60, 12, 3), tokens(60, 6, 9), steps=8),
    Case("text-encoder", lambda: Reader(60, 9, 16), tokens(60, 4, 9), steps=5),
    Case("text-decoder", lambda: Writer(50, 8, 16), tokens(50, 3, 8), steps=5, newest=True),
    Case("vision-transformer", lambda: Patches(12), normal(3, 3, 12, 12), steps=5, newest=True),
    Case("tabular-embedding", lambda: Columns(5, (6, 6)), mixed_columns, steps=10),
    Case("temporal-cnn", lambda: Causal(6), normal(3, 6, 20)),
]
