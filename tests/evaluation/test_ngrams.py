"""TfIdfVectorizer: against scikit-learn, onnxruntime and a count in plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from sklearn.feature_extraction.text import CountVectorizer

from danku.evaluation.refusal import ModelRejected
from danku.evaluation.session import Session

RANDOM = np.random.default_rng(29)
POOL: dict[str, Any] = {
    "mode": "TF",
    "min_gram_length": 1,
    "max_gram_length": 3,
    "max_skip_count": 0,
    "ngram_counts": [0, 3, 7],
    "ngram_indexes": [4, 0, 2, 1, 3, 5, 6],
    "pool_int64s": [1, 2, 3, 1, 2, 2, 2, 1, 2, 1, 3, 2, 1],
}

GRAMS = [(1,), (2,), (3,), (1, 2), (2, 2), (1, 2, 1), (3, 2, 1)]


def vectorized(
    tokens: np.ndarray, settings: Mapping[str, Any], *, peer: bool = False
) -> np.ndarray:
    kind = {"O": TensorProto.STRING, "i": TensorProto.INT64}.get(tokens.dtype.kind)
    kind = TensorProto.INT32 if tokens.dtype == np.int32 else kind
    node = helper.make_node("TfIdfVectorizer", ["x"], ["y"], **settings)
    graph = helper.make_graph(
        [node],
        "ngrams",
        [helper.make_tensor_value_info("x", kind or TensorProto.FLOAT, tokens.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data = built.SerializeToString()
    if peer:
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {"x": tokens})[0])
    return Session(data, {"x": tokens.shape}).run({"x": tokens})["y"]


def counted(tokens: np.ndarray, shortest: int, longest: int, skips: int) -> np.ndarray:
    result = np.zeros((len(tokens), len(GRAMS)), np.float32)
    for row, distance, start in product(
        range(len(tokens)), range(1, skips + 2), range(tokens.shape[1])
    ):
        for place, gram in enumerate(GRAMS):
            found = tuple(tokens[row, start::distance][: len(gram)])
            once = len(gram) > 1 or distance == 1
            if shortest <= len(gram) <= longest and found == gram and once:
                result[row, POOL["ngram_indexes"][place]] += 1
    return result


@pytest.mark.parametrize(("shortest", "longest"), [(1, 1), (1, 2), (2, 3), (1, 3), (3, 3)])
@pytest.mark.parametrize("skips", [0, 1, 5])
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_counts_of_all_lengths_and_skips(
    shortest: int, longest: int, skips: int, kind: Any
) -> None:
    tokens = RANDOM.integers(1, 5, size=(6, 12)).astype(kind)
    settings = POOL | {
        "min_gram_length": shortest,
        "max_gram_length": longest,
        "max_skip_count": skips,
    }
    ours = vectorized(tokens, settings)
    assert ours.tobytes() == counted(tokens, shortest, longest, skips).tobytes()
    assert ours.tobytes() == vectorized(tokens, settings, peer=True).tobytes()
    assert vectorized(tokens[0], settings).tobytes() == ours[0].tobytes()


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
@pytest.mark.parametrize("weighted", [False, True])
def test_modes_and_weights_agree_with_onnxruntime(mode: str, weighted: bool) -> None:
    tokens = RANDOM.integers(1, 4, size=(5, 20))
    settings = POOL | {"mode": mode, "ngram_indexes": list(range(7))}
    if weighted:
        settings["weights"] = [0.5, 1.5, 2.25, 3.0, 0.1, 7.0, 1.0]
    ours = vectorized(tokens, settings)
    assert ours.tobytes() == vectorized(tokens, settings, peer=True).tobytes()


def test_words_are_counted_as_scikit_learn_does() -> None:
    texts = ["the cat and the dog", "a dog and a cat sat", "cat cat cat and the dog"]
    fitted = CountVectorizer(ngram_range=(1, 2), tokenizer=str.split, token_pattern=None).fit(texts)
    grams = sorted(fitted.vocabulary_, key=lambda gram: (gram.count(" "), gram))
    longest = max(len(text.split()) for text in texts)
    words = np.array([(text.split() + [""] * longest)[:longest] for text in texts], dtype=object)
    settings = POOL | {
        "max_gram_length": 2,
        "ngram_counts": [0, sum(" " not in gram for gram in grams)],
        "ngram_indexes": [int(fitted.vocabulary_[gram]) for gram in grams],
        "pool_strings": [word for gram in grams for word in gram.split()],
    }
    del settings["pool_int64s"]
    assert np.array_equal(vectorized(words, settings), fitted.transform(texts).toarray())


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(np.empty((2, 0), np.int64), [[0] * 7] * 2), (np.array([9, -1, 2**40]), [0] * 7)],
)
def test_sequences_without_any_known_token(tokens: np.ndarray, expected: Any) -> None:
    assert vectorized(tokens, POOL).tolist() == expected


def test_enormous_skips_cost_no_more_than_the_sequence_is_long() -> None:
    tokens = RANDOM.integers(1, 5, size=(2, 12))
    skipping = vectorized(tokens, POOL | {"max_skip_count": 2**62})
    assert skipping.tobytes() == vectorized(tokens, POOL | {"max_skip_count": 11}).tobytes()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mode": "BM25"}, "mode is not one of"),
        ({"max_skip_count": -1}, "max_skip_count is -1"),
        ({"max_gram_length": 4}, "n-grams of 1 to 4"),
        ({"min_gram_length": 0}, "n-grams of 0 to 3"),
        ({"ngram_counts": [1, 3, 7]}, "ngram_counts that do not ascend"),
        ({"ngram_counts": [0, 7, 3]}, "ngram_counts that do not ascend"),
        ({"ngram_counts": [0, 2, 7]}, "5 elements of 2-grams"),
        ({"ngram_indexes": [0, 1, 2, 3, 4, 5]}, "have no column"),
        ({"ngram_indexes": [0, 1, 2, 3, 4, 5, -1]}, "no columns"),
        ({"ngram_indexes": [0, 1, 2, 3, 4, 5, 2**31]}, "no columns"),
        ({"pool_int64s": [1, 1, 3, 1, 2, 2, 2, 1, 2, 1, 3, 2, 1]}, "listed twice"),
        ({"pool_strings": ["a"]}, "and not both"),
        ({"mode": "IDF", "weights": [1.0] * 7}, "order of their columns"),
    ],
)
def test_pools_that_make_no_sense_are_refused(change: Mapping[str, Any], expected: str) -> None:
    with pytest.raises(ModelRejected, match=expected):
        vectorized(np.ones((2, 3), np.int64), POOL | dict(change))


def test_tokens_of_another_type_are_refused() -> None:
    with pytest.raises(ModelRejected, match="unsupported type float32"):
        vectorized(np.ones((2, 3), np.float32), POOL)
    with pytest.raises(ModelRejected, match="unsupported type string"):
        vectorized(np.full((2, 3), "a", object), POOL)
