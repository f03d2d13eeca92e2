"""Functions of tensors, in bundles that take the same input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tests.evaluation.pytorch.case import bundle

Parts = dict[str, Callable[..., Any]]


def sampled() -> Parts:
    turn = torch.tensor([[0.8, 0.3, 0.1], [-0.2, 1.1, -0.3]])

    def grid(x: Tensor) -> Tensor:
        size = [x.shape[0], 2, 5, 7]
        return functional.affine_grid(
            turn.to(x).expand(x.shape[0], 2, 3), size, align_corners=False
        )

    def points(x: Tensor) -> Tensor:
        return x[:, :, :, :2].flatten(1, 2).unsqueeze(1).tanh() * 1.2

    sample = functional.grid_sample
    return {
        "affine": lambda x: sample(x, grid(x), align_corners=False),
        "bilinear": lambda x: sample(x, points(x), align_corners=False),
        "border": lambda x: sample(x, points(x), padding_mode="border", align_corners=True),
        "reflection": lambda x: sample(
            x, points(x), padding_mode="reflection", align_corners=False
        ),
        "nearest": lambda x: sample(x, points(x), mode="nearest", align_corners=False),
        "bicubic": lambda x: sample(x, points(x), mode="bicubic", align_corners=False),
    }


def gathered() -> Parts:
    places = torch.tensor([[0, 3, 1, 1], [2, 2, 4, 0], [1, 0, 0, 3]])

    def rows(x: Tensor) -> Tensor:
        return places.expand(x.shape[0], 3, 4)

    return {
        "gather": lambda x: x.gather(1, rows(x)),
        "index": lambda x: x[:, [2, 0, 2]],
        "index_pairs": lambda x: x[:, [2, 0, 2], [1, 1, 3]],
        "index_select": lambda x: x.index_select(2, torch.tensor([3, 0])),
        "take_along_dim": lambda x: torch.take_along_dim(x, x.argsort(1), 1),
        "scatter": lambda x: torch.zeros_like(x).scatter(1, rows(x)[:, :, :2], x[:, :3, :2]),
        "scatter_add": lambda x: x.scatter_add(1, rows(x), x[:, :3] * 2),
        "index_add": lambda x: x.index_add(2, torch.tensor([1, 1, 3]), x[:, :, :3]),
        "index_copy": lambda x: x.index_copy(1, torch.tensor([4, 0]), x[:, :2]),
        "index_fill": lambda x: x.index_fill(1, torch.tensor([4, 0]), 0.5),
        "index_put": lambda x: x.index_put((torch.tensor([0, 1]), torch.tensor([2, 3])), x[0, :2]),
        "select_scatter": lambda x: x.select_scatter(x[:, 1] * 2, 1, 3),
        "one_hot": lambda x: functional.one_hot(x.argmax(2), 4),
    }


def scatter_reduced() -> Parts:
    places = torch.tensor([[0, 3, 1, 1], [2, 2, 4, 0], [1, 0, 0, 3]])
    return {
        kind: lambda x, kind=kind: x.scatter_reduce(
            1, places.expand(x.shape[0], 3, 4), x[:, :3], kind
        )
        for kind in ("sum", "prod", "amin", "amax")
    }


def masked() -> Parts:
    return {
        "masked_fill": lambda x: x.masked_fill(x > 0.5, -1e9).softmax(-1),
        "masked_infinite": lambda x: x.masked_fill(x > 0.5, -torch.inf).softmax(-1),
        "where": lambda x: torch.where(x < 0, x * 0.1, x**2),
        "tril": lambda x: x.tril(),
        "triu": lambda x: x.triu(1),
        "isnan": lambda x: torch.isnan(x.log()),
        "isinf": lambda x: torch.isinf(x / (x - x.amax(1, keepdim=True))),
        "logic": lambda x: (x > 0) & ~(x > 1) | (x < -1) ^ (x < -2),
        "any": lambda x: (x > 0).any(1),
        "all": lambda x: (x > -2).all(2),
        "bits": lambda x: ((x * 9).int() & 6) | ((x * 5).int() ^ 3),
        "shifts": lambda x: ((x.abs() * 9).int() << 2) >> 1,
        "nan_to_num": lambda x: torch.nan_to_num(x.log(), 0.5, 3.0, -3.0),
    }


def ordered() -> Parts:
    return {
        "topk": lambda x: x.topk(3, 1),
        "topk_least": lambda x: x.topk(2, 2, largest=False),
        "sort": lambda x: x.sort(2),
        "argsort": lambda x: x.argsort(1, descending=True),
        "argmax": lambda x: x.argmax(1),
        "argmin": lambda x: x.argmin(2),
        "max": lambda x: x.max(1),
        "min": lambda x: x.min(2),
        "amax": lambda x: x.amax((1, 2)),
        "maximum": lambda x: torch.maximum(x, x.flip(1)),
        "cummax": lambda x: x.cummax(1)[0],
        "bucketize": lambda x: torch.bucketize(x, torch.tensor([-1.0, 0, 0.7]).to(x)),
    }


def statistics() -> Parts:
    return {
        "var": lambda x: x.var(1),
        "var_biased": lambda x: x.var((1, 2), unbiased=False),
        "std": lambda x: x.std(2, keepdim=True),
        "mean": lambda x: x.mean((1, 2)),
        "mean_all": lambda x: x.mean(),
        "logsumexp": lambda x: x.logsumexp(1),
        "norm": lambda x: x.norm(dim=2),
        "norm_1": lambda x: x.norm(p=1, dim=1),
        "norm_3": lambda x: x.norm(p=3, dim=1),
        "norm_largest": lambda x: torch.linalg.vector_norm(x, torch.inf, 1),
        "prod": lambda x: x.prod(2),
        "cumsum": lambda x: x.cumsum(1),
        "cumprod": lambda x: x.cumprod(1),
        "logcumsumexp": lambda x: x.logcumsumexp(2),
        "sum": lambda x: x.sum(),
        "normalize": lambda x: functional.normalize(x, dim=1),
        "cosine": lambda x: functional.cosine_similarity(x, x.flip(1), 2),
        "cdist": lambda x: torch.cdist(x, x.flip(2)),
    }


def computed() -> Parts:
    return {
        "pow": lambda x: (x.abs() + 0.5).pow(1.7),
        "cube": lambda x: x.pow(3),
        "power_of": lambda x: 2.5**x,
        "rsqrt": lambda x: (x.abs() + 0.5).rsqrt(),
        "log": lambda x: (x.abs() + 0.5).log(),
        "log2": lambda x: (x.abs() + 0.5).log2(),
        "log10": lambda x: (x.abs() + 0.5).log10(),
        "log1p": lambda x: x.abs().log1p(),
        "expm1": lambda x: x.expm1(),
        "exp": lambda x: x.exp(),
        "exp2": lambda x: x.exp2(),
        "sin": lambda x: x.sin(),
        "cos": lambda x: (x * 20).cos(),
        "tan": lambda x: x.tan(),
        "atan": lambda x: x.atan(),
        "atan2": lambda x: torch.atan2(x, x.flip(1)),
        "asin": lambda x: x.tanh().asin(),
        "acos": lambda x: x.tanh().acos(),
        "sinh": lambda x: x.sinh(),
        "cosh": lambda x: x.cosh(),
        "asinh": lambda x: x.asinh(),
        "acosh": lambda x: (x.abs() + 1).acosh(),
        "atanh": lambda x: (x / 4).atanh(),
        "floor": lambda x: (x * 9).floor(),
        "ceil": lambda x: (x * 9).ceil(),
        "round": lambda x: (x * 9).round(),
        "trunc": lambda x: (x * 9).trunc(),
        "frac": lambda x: (x * 9).frac(),
        "floor_divide": lambda x: torch.floor_divide(x, 0.3),
        "remainder": lambda x: torch.remainder(x, 0.7),
        "fmod": lambda x: torch.fmod(x, 0.7),
        "clamp": lambda x: x.clamp(-0.5, 0.5),
        "clamp_below": lambda x: x.clamp(min=0.1),
        "sign": lambda x: x.sign(),
        "reciprocal": lambda x: x.reciprocal(),
        "lerp": lambda x: torch.lerp(x, x.flip(1), 0.3),
        "addcmul": lambda x: torch.addcmul(x, x, x, value=0.5),
        "logit": lambda x: x.sigmoid().logit(),
        "logaddexp": lambda x: torch.logaddexp(x, x.flip(2)),
        "integers": lambda x: (x * 9).long() // 4 + (x * 7).long() % 3,
        "matmul": lambda x: x @ x.transpose(1, 2),
        "baddbmm": lambda x: torch.baddbmm(x, x[:, :, :4], x, beta=0.5, alpha=2),
        "addmm": lambda x: torch.addmm(x[0, 0], x[0], x[1].T[:, :4] @ x[0], beta=2),
        "outer": lambda x: torch.outer(x[0, 0], x[0, 1]),
    }


def reshaped() -> Parts:
    pad = functional.pad
    return {
        "split": lambda x: x.split([1, 3], 1),
        "chunk": lambda x: x.chunk(3, 2),
        "unbind": lambda x: x.unbind(1),
        "stack": lambda x: torch.stack([x, x + 1], 1),
        "flip": lambda x: x.flip([1, 3]),
        "roll": lambda x: x.roll([1, -2], [1, 3]),
        "repeat": lambda x: x.repeat(1, 2, 1, 1),
        "repeat_interleave": lambda x: x.repeat_interleave(2, 2),
        "permute": lambda x: x.permute(0, 3, 1, 2).flatten(2),
        "slice": lambda x: x[:, 1:, ::2, -3:],
        "expand": lambda x: x.unsqueeze(1).expand(-1, 2, -1, -1, -1).sum(2),
        "pad": lambda x: pad(x, (1, 2, 0, 1), value=0.5),
        "pad_reflect": lambda x: pad(x, (1, 2, 2, 1), mode="reflect"),
        "pad_replicate": lambda x: pad(x, (1, 2, 2, 1), mode="replicate"),
        "pad_circular": lambda x: pad(x, (1, 1, 2, 1), mode="circular"),
        "unfold": lambda x: x.unfold(3, 3, 2),
        "unfold_blocks": lambda x: functional.unfold(x, 3, padding=1),
        "fold": lambda x: functional.fold(functional.unfold(x, 2), (6, 6), 2),
        "pixel_shuffle": lambda x: functional.pixel_shuffle(x, 2),
        "pixel_unshuffle": lambda x: functional.pixel_unshuffle(x, 2),
        "channel_shuffle": lambda x: functional.channel_shuffle(x, 2),
        "arange": lambda x: x + torch.arange(x.shape[3]) / x.shape[2],
        "meshgrid": lambda x: x * torch.meshgrid(x[0, 0, 0], x[0, 0, 1], indexing="ij")[0],
    }


FUNCTIONS = [
    bundle("grid-sample", sampled, 3, 2, 4, 6, opset=20),
    bundle("gather-scatter", gathered, 2, 5, 4, opset=18),
    bundle("diagonal", lambda: {"diagonal": lambda x: x.diagonal(0, 1, 2)}, 2, 4, 4),
    bundle("scatter-reduce", scatter_reduced, 2, 5, 4, opset=18),
    bundle("masks", masked, 2, 4, 6, opset=18),
    bundle("order", ordered, 2, 5, 6),
    bundle("statistics", statistics, 3, 4, 6),
    bundle("arithmetic", computed, 3, 4, 5),
    bundle("shapes", reshaped, 2, 4, 6, 6, opset=18),
]
