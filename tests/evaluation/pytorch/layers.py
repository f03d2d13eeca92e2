"""Single layers and functions: each case is a bundle of some that take the same input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.evaluation.pytorch.case import Case, bundle, normal, tokens

Parts = dict[str, Callable[..., Any]]


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.layer = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = self.layer(x, x.flip(1), x, need_weights=True)
        return found


class Decoder(nn.Module):
    """Decoder layers that see what is before, and attend to waves of their own input."""

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        layer = nn.TransformerDecoderLayer(width, 3, 2 * width, batch_first=True)
        self.layers = nn.TransformerDecoder(layer, 2)
        self.register_buffer("later", torch.ones(length, length, dtype=torch.bool).triu(1))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x, x.cos(), tgt_mask=self.later)
        return found


def activations() -> Parts:
    return {
        "gelu": functional.gelu,
        "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
        "silu": functional.silu,
        "mish": functional.mish,
        "hardswish": functional.hardswish,
        "hardsigmoid": functional.hardsigmoid,
        "hardtanh": lambda x: functional.hardtanh(x, -0.6, 0.9),
        "elu": lambda x: functional.elu(x, 0.7),
        "selu": functional.selu,
        "celu": lambda x: functional.celu(x, 1.3),
        "leaky_relu": lambda x: functional.leaky_relu(x, 0.1),
        "relu6": functional.relu6,
        "softplus": functional.softplus,
        "softplus_steep": lambda x: functional.softplus(x, 2.0),
        "softsign": functional.softsign,
        "tanhshrink": functional.tanhshrink,
        "softshrink": lambda x: functional.softshrink(x, 0.3),
        "hardshrink": lambda x: functional.hardshrink(x, 0.4),
        "log_sigmoid": functional.logsigmoid,
        "softmax": lambda x: functional.softmax(x, 1),
        "log_softmax": lambda x: functional.log_softmax(x, 1),
        "softmin": lambda x: functional.softmin(x, 2),
        "glu": lambda x: functional.glu(x, 1),
        "threshold": lambda x: functional.threshold(x, 0.1, -0.5),
        "erf": torch.erf,
        "prelu": nn.PReLU(),
        "prelu_channels": nn.PReLU(4, 0.1),
    }


def convolutions(kind: type[nn.Module]) -> Parts:
    return {
        "plain": kind(4, 6, 3),
        "grouped": kind(4, 8, 3, 2, 1, groups=2),
        "depthwise_dilated": kind(4, 4, 3, 1, 2, dilation=2, groups=4, bias=False),
        "same": kind(4, 3, 4, padding="same"),
        "point": kind(4, 5, 1),
    }


def transposed(kind: type[nn.Module]) -> Parts:
    return {
        "plain": kind(4, 3, 3),
        "grouped": kind(4, 6, 3, 2, 1, output_padding=1, groups=2),
        "dilated": kind(4, 4, 2, 3, dilation=2, bias=False),
    }


def pools() -> Parts:
    return {
        "max": nn.MaxPool2d(2),
        "max_padded": nn.MaxPool2d(3, 2, 1),
        "max_ceil": nn.MaxPool2d(3, 2, ceil_mode=True),
        "max_dilated": nn.MaxPool2d(2, 1, dilation=2),
        "max_places": nn.MaxPool2d(2, return_indices=True),
        "max_adaptive": nn.AdaptiveMaxPool2d(3),
        "max_global": nn.AdaptiveMaxPool2d(1),
        "average": nn.AvgPool2d(2),
        "average_padded": nn.AvgPool2d(3, 2, 1),
        "average_inside": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        "average_ceil": nn.AvgPool2d(3, 2, ceil_mode=True),
        "average_adaptive": nn.AdaptiveAvgPool2d((3, 4)),
        "average_global": nn.AdaptiveAvgPool2d(1),
        "norm": nn.LPPool2d(2, 2),
        "norm_overlapping": nn.LPPool2d(3, 3, 2),
    }


def pools_1d() -> Parts:
    return {
        "max": nn.MaxPool1d(3, 2),
        "average": nn.AvgPool1d(2),
        "norm": nn.LPPool1d(2, 3),
        "adaptive": nn.AdaptiveAvgPool1d(4),
    }


def pools_3d() -> Parts:
    return {
        "max": nn.MaxPool3d(2),
        "average": nn.AvgPool3d(3, 2, 1),
        "norm": nn.LPPool3d(2, 2),
        "adaptive": nn.AdaptiveMaxPool3d(2),
    }


def norms() -> Parts:
    return {
        "layer": nn.LayerNorm((8, 6)),
        "layer_plain": nn.LayerNorm(6, elementwise_affine=False),
        "group": nn.GroupNorm(2, 4),
        "group_plain": nn.GroupNorm(4, 4, affine=False),
        "instance": nn.InstanceNorm2d(4, affine=True),
        "batch": nn.BatchNorm2d(4),
        "root": nn.RMSNorm(6, 1e-5),
    }


def resized() -> Parts:
    resize = functional.interpolate
    return {
        "nearest": lambda x: resize(x, scale_factor=2, mode="nearest"),
        "nearest_size": lambda x: resize(x, (7, 9), mode="nearest"),
        "nearest_exact": lambda x: resize(x, (7, 9), mode="nearest-exact"),
        "bilinear": lambda x: resize(x, scale_factor=2, mode="bilinear"),
        "bilinear_corners": lambda x: resize(x, (9, 4), mode="bilinear", align_corners=True),
        "bilinear_fraction": lambda x: resize(x, scale_factor=1.5, mode="bilinear"),
        "bilinear_smooth": lambda x: resize(x, (4, 3), mode="bilinear", antialias=True),
        "bicubic": lambda x: resize(x, scale_factor=2, mode="bicubic"),
        "bicubic_corners": lambda x: resize(x, (4, 11), mode="bicubic", align_corners=True),
        "area": lambda x: resize(x, (3, 5), mode="area"),
    }


def encoders() -> Parts:
    def encoder(*, before: bool) -> nn.Module:
        layer = nn.TransformerEncoderLayer(
            12, 3, 24, activation="relu", batch_first=True, norm_first=before
        )
        return nn.TransformerEncoder(layer, 2, nn.LayerNorm(12), enable_nested_tensor=False)

    return {"norm_after": encoder(before=False), "norm_before": encoder(before=True)}


def attended() -> Parts:
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    bias = torch.linspace(-1, 1, 25).reshape(5, 5)
    attend = functional.scaled_dot_product_attention
    return {
        "plain": lambda x: attend(x, x.flip(2), x),
        "causal": lambda x: attend(x, x, x * 2, is_causal=True),
        "masked": lambda x: attend(x, x, x, attn_mask=mask),
        "biased": lambda x: attend(x, x, x, attn_mask=bias.to(x), scale=1 / math.pi),
        "grouped": lambda x: attend(x, x[:, :1], x[:, :1], enable_gqa=True),
    }


def einsums() -> Parts:
    weights = torch.linspace(-1, 1, 15).reshape(5, 3)
    return {
        "products": lambda x: torch.einsum("bij,bkj->bik", x, x * 2),
        "sums": lambda x: torch.einsum("bij,bij->b", x, x + 1),
        "turned": lambda x: torch.einsum("bij->bji", x),
        "diagonal": lambda x: torch.einsum("bii->bi", x[:, :, :4]),
        "ellipsis": lambda x: torch.einsum("...ij,jk->...ik", x, weights.to(x)),
        "three": lambda x: torch.einsum("bij,jk,bil->bkl", x, weights.to(x), x),
    }


def rotary(x: Tensor) -> Tensor:
    """Positions as rotations, as language models have them."""
    angles = torch.arange(6)[:, None] * 10.0 ** -(torch.arange(4) / 4)
    waves = torch.cat([angles, angles], -1).to(x)
    turned = torch.cat([-x[..., 4:], x[..., :4]], -1)
    return x * waves.cos() + turned * waves.sin()


LAYERS = [
    bundle("activations", activations, 2, 4, 6, newest=True),
    bundle("conv-1d", lambda: convolutions(nn.Conv1d), 2, 4, 12),
    bundle("conv-2d", lambda: convolutions(nn.Conv2d), 2, 4, 9, 8),
    bundle("conv-3d", lambda: convolutions(nn.Conv3d), 2, 4, 5, 6, 7),
    bundle("conv-transposed-1d", lambda: transposed(nn.ConvTranspose1d), 2, 4, 6),
    bundle("conv-transposed-2d", lambda: transposed(nn.ConvTranspose2d), 2, 4, 5, 4),
    bundle("conv-transposed-3d", lambda: transposed(nn.ConvTranspose3d), 2, 4, 3, 4, 3),
    bundle("pool-1d", pools_1d, 2, 3, 12),
    bundle("pool-2d", pools, 2, 3, 9, 12),
    bundle("pool-3d", pools_3d, 2, 2, 6, 4, 6),
    bundle("norms", norms, 2, 4, 8, 6, steps=3, opset=18, newest=True),
    Case("norm-response", lambda: nn.LocalResponseNorm(3), normal(2, 4, 5, 6)),
    bundle("resize", resized, 2, 2, 6, 5, opset=18),
    bundle("attention", lambda: {"layer": Attention(12, 3)}, 2, 5, 12, steps=3),
    bundle("attention-functional", attended, 2, 3, 5, 4, newest=True),
    bundle("encoders", encoders, 2, 5, 12, newest=True),
    Case("decoder", lambda: Decoder(12, 5), normal(2, 5, 12)),
    bundle("einsum", einsums, 2, 4, 5),
    bundle("rotary", lambda: {"rotary": rotary}, 2, 3, 6, 8, newest=True),
    Case("embedding-bag", lambda: nn.EmbeddingBag(40, 6), tokens(40, 4, 5)),
    Case("bilinear", lambda: nn.Bilinear(5, 4, 3), lambda: [torch.randn(6, 5), torch.randn(6, 4)]),
    Case("distance", nn.PairwiseDistance, lambda: [*normal(6, 5)(), *normal(6, 5)()]),
]
