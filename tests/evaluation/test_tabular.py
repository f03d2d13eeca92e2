"""Tabular models as skl2onnx and onnxmltools export them, against onnxruntime and float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
import skl2onnx.common._container as container
from onnx import helper
from skl2onnx import to_onnx
from sklearn import (
    calibration,
    cluster,
    compose,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_selection,
    gaussian_process,
    impute,
    linear_model,
    mixture,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)
from sklearn.datasets import load_diabetes, load_wine

from danku.evaluation.evaluate import predict
from tests.evaluation import oracles
from tests.evaluation.widening import evaluate_wide

WINE = load_wine()
DIABETES = load_diabetes()
RANDOM = np.random.default_rng(3)
OPSETS = {"": 17, "ai.onnx.ml": 3}
FEATURES = 6
ROWS = (WINE.data[:, :FEATURES] / WINE.data[:, :FEATURES].max(axis=0)).astype(np.float32)
CLASSES = WINE.target
BINARY = (CLASSES > 0).astype(np.int64)
NAMES = np.array(["barolo", "grignolino", "barbera"])[CLASSES]
VALUES_ROWS = DIABETES.data[:200, :FEATURES].astype(np.float32)
VALUES = DIABETES.target[:200]
UNSEEN = RANDOM.permutation(ROWS.ravel()).reshape(ROWS.shape)
MISSING = np.where(RANDOM.random(ROWS.shape) < 0.1, np.float32(np.nan), ROWS)
WHOLE = np.round(ROWS * 5).astype(np.int64)

make_pipeline = pipeline.make_pipeline
Tree = tree.DecisionTreeClassifier


def classes(estimator: Any, rows: Any = ROWS, target: Any = CLASSES) -> Callable[[], Any]:
    return lambda: (estimator().fit(rows, target), rows)


def values(estimator: Any) -> Callable[[], Any]:
    return lambda: (estimator().fit(VALUES_ROWS, VALUES), VALUES_ROWS)


def mixed() -> Any:
    """Numbers with gaps are imputed and scaled, whole numbers one-hot encoded."""
    rows = np.column_stack([WHOLE[:, :2], (100 * ROWS[:, 2:]).astype(np.int64)])
    scaled = make_pipeline(impute.SimpleImputer(strategy="median"), preprocessing.StandardScaler())
    columns = compose.ColumnTransformer(
        [
            ("encoded", preprocessing.OneHotEncoder(handle_unknown="ignore"), [0, 1]),
            ("scaled", scaled, list(range(2, FEATURES))),
        ]
    )
    return make_pipeline(columns, linear_model.LogisticRegression()).fit(rows, CLASSES), rows


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "robust-scaler": classes(
        lambda: make_pipeline(preprocessing.RobustScaler(), linear_model.LogisticRegression())
    ),
    "quantiles": classes(
        lambda: make_pipeline(
            preprocessing.QuantileTransformer(n_quantiles=20), linear_model.LogisticRegression()
        )
    ),
    "power": classes(
        lambda: make_pipeline(
            preprocessing.PowerTransformer(), linear_model.LogisticRegression(max_iter=500)
        )
    ),
    "polynomial": classes(
        lambda: make_pipeline(
            preprocessing.PolynomialFeatures(2), linear_model.LogisticRegression(max_iter=500)
        )
    ),
    "bins": classes(
        lambda: make_pipeline(
            preprocessing.KBinsDiscretizer(4, encode="onehot-dense", quantile_method="linear"),
            linear_model.LogisticRegression(),
        )
    ),
    "binarizer": classes(
        lambda: make_pipeline(preprocessing.Binarizer(threshold=0.5), naive_bayes.BernoulliNB())
    ),
    "imputer": classes(
        lambda: make_pipeline(impute.SimpleImputer(), linear_model.LogisticRegression()), MISSING
    ),
    "union": classes(
        lambda: make_pipeline(
            pipeline.FeatureUnion(
                [("p", decomposition.PCA(2)), ("s", preprocessing.MaxAbsScaler())]
            ),
            linear_model.LogisticRegression(),
        )
    ),
    "selection": classes(
        lambda: make_pipeline(feature_selection.SelectKBest(k=3), svm.SVC(kernel="linear"))
    ),
    "columns": mixed,
    "discriminant": classes(discriminant_analysis.LinearDiscriminantAnalysis),
    "quadratic": classes(discriminant_analysis.QuadraticDiscriminantAnalysis),
    "svc-rbf": classes(svm.SVC),
    "svc-linear": classes(lambda: svm.SVC(kernel="linear")),
    "svc-poly": classes(lambda: svm.SVC(kernel="poly", gamma=0.3, coef0=0.5)),
    "svc-sigmoid": classes(lambda: svm.SVC(kernel="sigmoid")),
    "svc-binary": classes(svm.SVC, target=BINARY),
    "svc-names": classes(svm.SVC, target=NAMES),
    "nu-svc": classes(lambda: svm.NuSVC(nu=0.3)),
    "svc-probability": classes(lambda: svm.SVC(probability=True, random_state=0)),
    "svc-probability-binary": classes(
        lambda: svm.SVC(probability=True, random_state=0), target=BINARY
    ),
    "knn": classes(lambda: neighbors.KNeighborsClassifier(5)),
    "knn-names": classes(lambda: neighbors.KNeighborsClassifier(3), target=NAMES),
    "knn-weights": classes(lambda: neighbors.KNeighborsClassifier(5, weights="distance")),
    "gaussian-nb": classes(naive_bayes.GaussianNB),
    "multinomial-nb": classes(naive_bayes.MultinomialNB),
    "complement-nb": classes(naive_bayes.ComplementNB),
    "bernoulli-nb": classes(lambda: naive_bayes.BernoulliNB(binarize=0.5)),
    "categorical-nb": classes(lambda: naive_bayes.CategoricalNB(min_categories=8), WHOLE),
    "tree": classes(Tree),
    "tree-binary": classes(Tree, target=BINARY),
    "tree-names": classes(Tree, target=NAMES),
    "forest": classes(lambda: ensemble.RandomForestClassifier(20, random_state=0)),
    "forest-binary": classes(
        lambda: ensemble.RandomForestClassifier(20, random_state=0), target=BINARY
    ),
    "extra-trees": classes(lambda: ensemble.ExtraTreesClassifier(20, random_state=0)),
    "boosting": classes(lambda: ensemble.GradientBoostingClassifier(n_estimators=15)),
    "boosting-binary": classes(
        lambda: ensemble.GradientBoostingClassifier(n_estimators=15), target=BINARY
    ),
    "histograms": classes(lambda: ensemble.HistGradientBoostingClassifier(max_iter=15), MISSING),
    "histograms-binary": classes(
        lambda: ensemble.HistGradientBoostingClassifier(max_iter=15), MISSING, BINARY
    ),
    "ada-boost": classes(lambda: ensemble.AdaBoostClassifier(n_estimators=8, random_state=0)),
    "bagging": classes(lambda: ensemble.BaggingClassifier(Tree(), 5, random_state=0)),
    "bagging-knn": classes(
        lambda: ensemble.BaggingClassifier(neighbors.KNeighborsClassifier(), 3, random_state=0)
    ),
    "mlp": classes(lambda: neural_network.MLPClassifier((12,), random_state=0, max_iter=60)),
    "voting-soft": classes(
        lambda: ensemble.VotingClassifier(
            [("t", Tree(max_depth=3)), ("l", linear_model.LogisticRegression())],
            voting="soft",
            flatten_transform=False,
        )
    ),
    "voting-hard": classes(
        lambda: ensemble.VotingClassifier(
            [
                ("t", Tree(max_depth=3)),
                ("l", linear_model.LogisticRegression()),
                ("n", naive_bayes.GaussianNB()),
            ],
            flatten_transform=False,
        )
    ),
    "stacking": classes(
        lambda: ensemble.StackingClassifier(
            [("t", Tree(max_depth=3)), ("n", naive_bayes.GaussianNB())]
        )
    ),
    "calibrated": classes(
        lambda: calibration.CalibratedClassifierCV(linear_model.RidgeClassifier())
    ),
    "one-vs-one": classes(lambda: multiclass.OneVsOneClassifier(linear_model.LogisticRegression())),
    "one-vs-rest-trees": classes(lambda: multiclass.OneVsRestClassifier(Tree(max_depth=4))),
    "k-means": classes(lambda: cluster.KMeans(3, random_state=0)),
    "mixture": classes(lambda: mixture.GaussianMixture(3, random_state=0)),
}
REGRESSORS: dict[str, Callable[[], Any]] = {
    "tree": values(tree.DecisionTreeRegressor),
    "forest": values(lambda: ensemble.RandomForestRegressor(20, random_state=0)),
    "extra-trees": values(lambda: ensemble.ExtraTreesRegressor(20, random_state=0)),
    "boosting": values(lambda: ensemble.GradientBoostingRegressor(n_estimators=30)),
    "histograms": values(lambda: ensemble.HistGradientBoostingRegressor(max_iter=20)),
    "ada-boost": values(lambda: ensemble.AdaBoostRegressor(n_estimators=8, random_state=0)),
    "bagging": values(lambda: ensemble.BaggingRegressor(n_estimators=5, random_state=0)),
    "isolation": values(lambda: ensemble.IsolationForest(n_estimators=10, random_state=0)),
    "svr-rbf": values(lambda: svm.SVR(C=50)),
    "svr-poly": values(lambda: svm.SVR(kernel="poly", degree=2, C=50)),
    "nu-svr": values(lambda: svm.NuSVR(kernel="linear", C=50)),
    "one-class": values(svm.OneClassSVM),
    "knn": values(lambda: neighbors.KNeighborsRegressor(4)),
    "mlp": values(
        lambda: neural_network.MLPRegressor(hidden_layer_sizes=(12,), random_state=0, max_iter=60)
    ),
    "gaussian-process": values(
        lambda: gaussian_process.GaussianProcessRegressor(gaussian_process.kernels.RBF(), alpha=9.0)
    ),
    "lasso": values(linear_model.Lasso),
    "poisson": values(linear_model.PoissonRegressor),
    "voting": values(
        lambda: ensemble.VotingRegressor(
            [("l", linear_model.Ridge()), ("t", tree.DecisionTreeRegressor(max_depth=4))]
        )
    ),
    "stacking": values(
        lambda: ensemble.StackingRegressor(
            [("l", linear_model.Ridge()), ("t", tree.DecisionTreeRegressor(max_depth=4))]
        )
    ),
    "target-scaled": values(
        lambda: make_pipeline(preprocessing.MinMaxScaler(), linear_model.BayesianRidge())
    ),
}


@cache
def trained(kind: str, name: str) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted: tuple[Any, Any] = {"classifier": CLASSIFIERS, "regressor": REGRESSORS}[kind][name]()
    return fitted


def whole(value: Any) -> Any:
    """Booleans among the attributes as integers: protobuf 7 refuses skl2onnx's."""
    return [int(each) if isinstance(each, (bool, np.bool_)) else each for each in value]


def make_node(*arguments: Any, **attributes: Any) -> Any:
    tracks = attributes.get("nodes_missing_value_tracks_true")
    if tracks is not None:
        attributes["nodes_missing_value_tracks_true"] = whole(tracks)
    return helper.make_node(*arguments, **attributes)


@cache
def exported(kind: str, name: str, dtype: str = "float32") -> onnx.ModelProto:
    estimator, rows = trained(kind, name)
    options: dict[Any, Any] = {}
    for each in (neighbors.KNeighborsClassifier, neighbors.KNeighborsRegressor):
        options[each] = {"optim": "cdist"}
    options[gaussian_process.GaussianProcessRegressor] = {"optim": "cdist"}
    first = rows[:1] if rows.dtype == np.int64 else rows[:1].astype(dtype)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(container, "make_node", make_node)
        model: onnx.ModelProto = to_onnx(estimator, first, target_opset=OPSETS, options=options)
    return model


def named(model: onnx.ModelProto, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {model.graph.input[0].name: rows}


def ours(model: onnx.ModelProto, rows: np.ndarray) -> dict[str, np.ndarray]:
    return oracles.run_ours(model, named(model, rows))


def assert_same(model: onnx.ModelProto, rows: np.ndarray) -> None:
    inputs = named(model, rows)
    oracles.compare(
        oracles.run_ours(model, inputs),
        oracles.run_peer(model, inputs),
        evaluate_wide(model, inputs),
    )


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name: str) -> None:
    rows = trained("classifier", name)[1]
    assert_same(exported("classifier", name), rows)
    if rows is ROWS:
        assert_same(exported("classifier", name), UNSEEN)


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name: str) -> None:
    assert_same(exported("regressor", name), trained("regressor", name)[1])


def boosted(library: str, name: str) -> onnx.ModelProto:
    """A model of XGBoost or LightGBM, trained on rows with gaps, as onnxmltools exports it."""
    pytest.importorskip(library)
    tools = pytest.importorskip("onnxmltools")
    module = __import__(library)
    kinds = tools.convert.common.data_types
    quiet = {"verbose": -1, "min_child_samples": 5} if library == "lightgbm" else {}
    prefix = "LGBM" if library == "lightgbm" else "XGB"
    kind, *more = name.split("-")
    estimator = {"classes": "Classifier", "binary": "Classifier", "values": "Regressor"}[kind]
    extra = {
        "poisson": {"objective": "poisson" if library == "lightgbm" else "count:poisson"},
        "deep": {"max_depth": 12},
        "forest": {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
        "categories": {"categorical_feature": [5], "min_data_per_group": 5, "cat_smooth": 1.0},
    }
    options = {"n_estimators": 20, **quiet}
    for each in more:
        options |= extra[each]
    rows, target = {
        "classes": (MISSING, CLASSES),
        "binary": (MISSING, BINARY),
        "values": (gaps(VALUES_ROWS), VALUES),
    }[kind]
    rows = categorical(rows) if "categories" in more else rows
    fitted = getattr(module, prefix + estimator)(**options).fit(rows, target)
    types = [("x", kinds.FloatTensorType([None, FEATURES]))]
    convert = getattr(tools, f"convert_{library}")
    model: onnx.ModelProto = convert(fitted, name, types, target_opset=15)
    if not any(imported.domain == "" for imported in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", 15))
    return model


def gaps(rows: np.ndarray) -> np.ndarray:
    missing = np.random.default_rng(9).random(rows.shape) < 0.1
    return np.where(missing, np.float32(np.nan), rows)


def categorical(rows: np.ndarray) -> np.ndarray:
    numbers = np.arange(len(rows)) * 7 % 11
    return np.column_stack([rows[:, :5], numbers]).astype(np.float32)


BOOSTED = [
    *(
        ("xgboost", name)
        for name in ("classes", "binary", "values", "values-poisson", "classes-deep")
    ),
    *(("lightgbm", name) for name in ("classes", "binary", "values", "values-poisson")),
    *(("lightgbm", name) for name in ("values-forest", "binary-categories", "values-categories")),
]


def boosted_rows(name: str) -> np.ndarray:
    rows = gaps(VALUES_ROWS) if name.startswith("values") else MISSING
    return categorical(rows) if name.endswith("categories") else rows


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("library", "name"), BOOSTED)
def test_boosting_libraries(library: str, name: str) -> None:
    assert_same(boosted(library, name), boosted_rows(name))


@pytest.mark.parametrize(
    "name", ["columns", "svc-probability", "knn", "forest", "histograms", "gaussian-nb", "mixture"]
)
def test_the_split_of_the_rows_changes_no_bit(name: str) -> None:
    model, rows = exported("classifier", name), trained("classifier", name)[1]
    whole = ours(model, rows)
    for size in (1, 7, 100):
        starts = range(0, 2 * size, size)
        parts = [ours(model, rows[start : start + size]) for start in starts]
        for output, values in whole.items():
            joined = np.concatenate([part[output] for part in parts])
            assert joined.tobytes() == values[: len(joined)].tobytes()


@pytest.mark.parametrize("name", ["tree-names", "svc-names"])
def test_columns_follow_the_labels_of_the_classes(name: str, manifest: Any) -> None:
    names = ("grignolino", "barolo", "barbera")
    model, rows = exported("classifier", name), trained("classifier", name)[1]
    terms = manifest("label", shape=(FEATURES,), classes=names)
    found = predict(model.SerializeToString(), rows, terms).values
    assert [names[each] for each in found] == oracles.run_peer(model, named(model, rows))[
        "output_label"
    ].tolist()
    if name == "tree-names":
        terms = manifest("probabilities", shape=(FEATURES,), classes=names)
        scores = predict(model.SerializeToString(), rows, terms).values
        assert scores.argmax(axis=1).tolist() == found.tolist()
