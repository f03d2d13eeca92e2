"""TreeEnsemble of ai.onnx.ml 5: against a walk in plain Python and onnxruntime; malformed ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from danku.evaluation.refusal import ModelRejected
from danku.evaluation.session import Session

FEATURES = 3
MEMBER = 6
NOT_EQUAL = 5
TESTS: list[Callable[[float, Any], bool]] = [
    lambda x, v: x <= v,
    lambda x, v: x < v,
    lambda x, v: x >= v,
    lambda x, v: x > v,
    lambda x, v: x == v,
    lambda x, v: x != v,
    lambda x, v: x in v,
]


@dataclass
class Ensemble:
    """Lists that grow as trees are drawn."""

    kind: Any
    features: list[int] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)
    splits: list[float] = field(default_factory=list)
    members: list[list[float]] = field(default_factory=list)
    children: list[list[tuple[bool, int]]] = field(default_factory=list)
    tracks: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)

    def attributes(self, **more: Any) -> dict[str, Any]:
        sets: list[float] = []
        for each in self.members:
            sets += [*each, np.nan]
        lists = {
            "nodes_splits": self.tensor(self.splits),
            "nodes_featureids": self.features,
            "nodes_modes": numpy_helper.from_array(np.array(self.modes, np.uint8)),
            "nodes_missing_value_tracks_true": self.tracks,
            "leaf_weights": self.tensor(self.weights),
            "leaf_targetids": self.targets,
            "tree_roots": self.roots,
            "n_targets": 2,
        }
        if sets:
            lists["membership_values"] = self.tensor(sets)
        for i, side in enumerate(("true", "false")):
            lists[f"nodes_{side}leafs"] = [int(each[i][0]) for each in self.children]
            lists[f"nodes_{side}nodeids"] = [each[i][1] for each in self.children]
        return lists | more

    def tensor(self, values: list[float]) -> TensorProto:
        return numpy_helper.from_array(np.array(values, self.kind))

    def walk(self, rows: np.ndarray, aggregate: int) -> np.ndarray:
        """ONNX's definition, node by node, the aggregate in float64."""
        result = np.zeros((len(rows), 2))
        for row, x in enumerate(rows):
            found: list[list[float]] = [[], []]
            for root in self.roots:
                leaf, place = False, root
                while not leaf:
                    leaf, place = self.step(x, place)
                found[self.targets[place]].append(self.weights[place])
            for target, weights in enumerate(found):
                total = 0.0
                for weight in weights:
                    total += weight
                ends = {2: min, 3: max}
                if aggregate in ends:
                    total = ends[aggregate](weights, default=0.0)
                result[row, target] = total / len(self.roots) if aggregate == 0 else total
        return result.astype(self.kind)

    def step(self, x: np.ndarray, place: int) -> tuple[bool, int]:
        value, mode = float(x[self.features[place]]), self.modes[place]
        against: Any = self.splits[place]
        if mode == MEMBER:
            against = self.members[self.modes[:place].count(MEMBER)]
        taken = TESTS[mode](value, against) or (np.isnan(value) and self.tracks[place])
        return self.children[place][0 if taken else 1]


def drawn(seed: int, kind: Any, modes: int = 7) -> Ensemble:
    """Trees with every test, their branches interleaved, and leaves that trees share."""
    random = np.random.default_rng(seed)
    made = Ensemble(kind)

    def number() -> float:
        return float(kind(random.integers(-3, 4) / 2))

    shared = [(True, i) for i in range(3)]
    for _ in shared:
        made.weights.append(float(kind(random.normal())))
        made.targets.append(int(random.integers(2)))

    def grow(level: int) -> tuple[bool, int]:
        if level == 4 or (level and random.random() < 0.2):
            if random.random() < 0.3:
                return shared[random.integers(len(shared))]
            made.weights.append(float(kind(random.normal())))
            made.targets.append(int(random.integers(2)))
            return True, len(made.weights) - 1
        place = len(made.modes)
        mode = int(random.integers(modes))
        made.modes.append(mode)
        made.features.append(int(random.integers(FEATURES)))
        made.splits.append(number())
        made.tracks.append(int(random.integers(2)))
        made.children.append([])
        if mode == MEMBER:
            made.members.append([number() for _ in range(random.integers(1, 5))])
        made.children[place] = [grow(level + 1), grow(level + 1)]
        return False, place

    made.roots = [grow(0)[1] for _ in range(5)][::-1]
    return made


def rows(kind: Any) -> np.ndarray:
    random = np.random.default_rng(7)
    values = (random.integers(-4, 5, size=(60, FEATURES)) / 2).astype(kind)
    values[random.random(values.shape) < 0.1] = np.nan
    return values


def prepared(attributes: Mapping[str, Any], x: np.ndarray, opset: int = 5) -> tuple[Any, Session]:
    node = helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", **attributes)
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("x", kind, [None, x.shape[1]])],
        [helper.make_tensor_value_info("y", kind, None)],
    )
    imports = [helper.make_opsetid("ai.onnx.ml", opset), helper.make_opsetid("", 21)]
    built = helper.make_model(graph, opset_imports=imports, ir_version=10)
    return built, Session(built.SerializeToString(), {"x": x.shape})


def scores(attributes: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    found: np.ndarray = prepared(attributes, x)[1].run({"x": x})["y"]
    return found


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("aggregate", range(4))
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_a_walk(kind: Any, aggregate: int, seed: int) -> None:
    trees, x = drawn(seed, kind), rows(kind)
    ours = scores(trees.attributes(aggregate_function=aggregate), x)
    expected = trees.walk(x, aggregate)
    assert ours.dtype == np.dtype(kind)
    assert ours.tobytes() == (expected + kind(0)).tobytes()


@pytest.mark.parametrize("transform", range(4))
def test_transforms_agree_with_onnxruntime(transform: int) -> None:
    # NOTE: without tests for members and for being different, which it does not have or does
    # otherwise where a feature is missing.
    trees, x = drawn(3, np.float32, NOT_EQUAL), rows(np.float32)
    _, made = prepared(trees.attributes(post_transform=transform), x)
    # NOTE: onnxruntime 1.32 has the numbers of SOFTMAX and LOGISTIC the other way round.
    built, _ = prepared(trees.attributes(post_transform=(0, 2, 1, 3)[transform]), x)
    peer = onnxruntime.InferenceSession(
        built.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    np.testing.assert_allclose(made.run({"x": x})["y"], peer.run(None, {"x": x})[0], rtol=1e-5)


def stump(kind: Any = np.float32) -> Ensemble:
    """One branch, two leaves."""
    made = Ensemble(kind)
    made.modes, made.features, made.splits, made.tracks = [0], [0], [0.5], [0]
    made.children = [[(True, 0), (True, 1)]]
    made.weights, made.targets, made.roots = [1.0, 2.0], [0, 1], [0]
    return made


def test_a_tree_that_is_a_leaf() -> None:
    trees = stump()
    trees.children = [[(True, 1), (True, 1)]]
    assert scores(trees.attributes(), rows(np.float32)).tolist() == [[0, 2]] * 60


def test_long_chains_are_read_in_a_moment() -> None:
    trees, depth = stump(), 50_000
    trees.modes, trees.features = [0] * depth, [0] * depth
    trees.splits, trees.tracks = list(np.arange(depth, dtype=float)), [0] * depth
    trees.children = [[(True, 0), (False, i + 1)] for i in range(depth - 1)]
    trees.children.append([(True, 0), (True, 1)])
    assert scores(trees.attributes(), np.full((1, 3), 1e9, np.float32)).tolist() == [[0, 2]]


def changed(**lists: Any) -> Callable[[Ensemble], None]:
    def change(trees: Ensemble) -> None:
        for name, value in lists.items():
            setattr(trees, name, value)

    return change


TWICE = {"modes": [0, 0], "features": [0, 0], "splits": [1.0, 2.0], "tracks": [0, 0]}


@pytest.mark.parametrize(
    ("change", "more", "expected"),
    [
        (changed(roots=[1]), {}, "tree_roots are not branches"),
        (changed(roots=[0, 0]), {}, "root of one tree"),
        (changed(children=[[(False, 0), (True, 1)]]), {}, "root of one tree"),
        (changed(children=[[(True, 2), (True, 1)]]), {}, "a node that does not exist"),
        (changed(children=[[(True, -1), (True, 1)]]), {}, "a node that does not exist"),
        (changed(modes=[7]), {}, "an unknown mode"),
        (changed(features=[3]), {}, "a feature that the rows do not have"),
        (changed(targets=[0, 2]), {}, "a weight of an unknown target"),
        (changed(targets=[0]), {}, "leaf_targetids are 1, not 2"),
        (changed(modes=[MEMBER]), {}, "membership_values are not 1 sets"),
        (changed(modes=[MEMBER], members=[[]]), {}, "membership_values are not 1 sets"),
        (changed(members=[[1.0]]), {}, "membership_values are not 0 sets"),
        (changed(kind=np.float64), {}, "nodes_splits is no list of float32"),
        (
            changed(**TWICE, children=[[(True, 0), (True, 1)]] * 2),
            {},
            "a branch that no tree has",
        ),
        (
            changed(**TWICE, children=[[(True, 0), (True, 1)], [(False, 1), (True, 1)]]),
            {},
            "a branch of two trees or of none",
        ),
        (
            changed(
                modes=[0] * 3,
                features=[0] * 3,
                splits=[1.0] * 3,
                tracks=[0] * 3,
                children=[[(False, 2), (True, 1)], [(False, 2), (True, 1)], [(True, 0)] * 2],
                roots=[0, 1],
            ),
            {},
            "a branch of two trees",
        ),
        (changed(), {"post_transform": 4}, "post_transform is not one of"),
        (changed(), {"n_targets": 1, "leaf_targetids": [0, 0], "post_transform": 2}, "single"),
        (changed(), {"aggregate_function": 4}, "aggregate_function is not one of"),
        (changed(), {"n_targets": 0}, "0 targets"),
    ],
)
def test_malformed_ensembles_are_refused(
    change: Callable[[Ensemble], None], more: Mapping[str, Any], expected: str
) -> None:
    trees = stump()
    change(trees)
    with pytest.raises(ModelRejected, match=expected):
        prepared(trees.attributes(**more), rows(np.float32))


def test_it_comes_with_version_5_of_the_domain() -> None:
    for opset, expected in ((4, "unsupported operator"), (6, "opset 6 of ai.onnx.ml")):
        with pytest.raises(ModelRejected, match=expected):
            prepared(stump().attributes(), rows(np.float32), opset)
