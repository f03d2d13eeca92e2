"""A competition worth a picture: real models on real digits; writes the screenshots in docs/.

    python -m tests.pages.showcase [FOLDER]

The folder keeps the workspaces and the page (`site/index.html`); else they are thrown away.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from skl2onnx import to_onnx
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from danku.crypto.signatures import PrivateKey
from danku.demo.training import broken_model
from danku.evaluation.pool import Pool
from danku.ledger.embedded.envelope import AdvanceTime
from danku.pages.facts import read_facts
from danku.pages.site import site, write_site
from danku.protocol.actions import Convene, Draw, Finalize
from danku.roles import organizer, seeds, submitter, validator
from danku.roles.assessment import assess
from danku.roles.claims import claim_all
from danku.roles.evidence import Rows, fetch_rows
from danku.roles.setup import make_workspace
from danku.roles.templates import new_challenge
from danku.roles.workspace import Workspace
from tests.pages.chromium import Chromium, executable
from tests.roles.arena import key_of

DOCS = Path(__file__).parents[2] / "docs"
JUDGES = ("Vera", "Victor", "Viola")
SUBMITTERS = (
    *("Ada", "Alan", "Barbara", "Claude", "Donald", "Edsger", "Fei-Fei", "Grace", "Hedy", "Ida"),
    *("John", "Katherine", "Leslie", "Margaret", "Niklaus", "Radia", "Shafi", "Tim"),
)
HOUR = 3_600

Made = tuple[str, int, Any]
"""Who enters what, and after how many hours of the submission window."""


def entries() -> Iterator[Made]:
    """From first tries to what wins, spread over the week."""
    yield "Niklaus", 3, DecisionTreeClassifier(max_depth=4, random_state=1)
    yield "Leslie", 5, GaussianNB(var_smoothing=1e-2)
    yield "Donald", 9, DecisionTreeClassifier(max_depth=8, random_state=2)
    yield "Grace", 14, LogisticRegression(C=1e-5, max_iter=100)
    yield "Tim", 20, RandomForestClassifier(8, random_state=3)
    yield "Ida", 26, LogisticRegression(C=0.001, max_iter=50)
    yield "Barbara", 31, LinearDiscriminantAnalysis()
    yield "Margaret", 37, "broken"
    yield "Hedy", 44, _network(12, 4)
    yield "John", 52, make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=200))
    yield "Shafi", 58, RandomForestClassifier(24, random_state=5)
    yield "Niklaus", 63, DecisionTreeClassifier(random_state=6)
    yield "Alan", 70, _network(24, 7)
    yield "Claude", 77, ExtraTreesClassifier(12, random_state=8)
    yield "Katherine", 85, _network(48, 9)
    yield "Radia", 90, RandomForestClassifier(60, random_state=10)
    yield "Donald", 97, "unopened"
    yield "Edsger", 103, _network(96, 11)
    yield "Tim", 110, ExtraTreesClassifier(40, random_state=12)
    yield "Fei-Fei", 118, ExtraTreesClassifier(120, random_state=13)
    yield "Grace", 126, make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=300))
    yield "Leslie", 131, "copy"
    yield "Ada", 139, _network(256, 14)
    yield "Hedy", 147, _network(128, 15)
    yield "Radia", 155, ExtraTreesClassifier(90, random_state=16)
    yield "Katherine", 161, _network(200, 17)


def _network(hidden: int, seed: int) -> Any:
    network = MLPClassifier((hidden,), alpha=1e-2, max_iter=120, random_state=seed)
    return make_pipeline(StandardScaler(), network)


def trained(kind: Any, rows: Rows, before: list[bytes]) -> bytes:
    """The bytes of an entry's model."""
    if kind == "broken":
        return broken_model()
    if kind == "copy":
        return before[-2]
    kind = _network(8, 18) if kind == "unopened" else kind
    kind.fit(rows.features, rows.target)
    last = kind[-1] if isinstance(kind, Pipeline) else kind
    made = to_onnx(kind, rows.features[:1], options={id(last): {"zipmap": False}})
    data: bytes = made.SerializeToString()
    return data


class Play:
    """The competition, played to its end."""

    def __init__(self, root: Path, judged: Callable[[], Pool] = Pool) -> None:
        self._pool = judged
        host = make_workspace(root / "organizer", sandbox=True, play_money=2_000_000)
        self.people: dict[str, Workspace] = {"organizer": Workspace(host.root)}
        for name in (*JUDGES, *SUBMITTERS):
            make_workspace(root / name, join=host.public)
            self.people[name] = Workspace(root / name)
        self.names = {key_of(name).address: name for name in self.people}
        self.identity = ""

    def of(self, name: str) -> tuple[Workspace, PrivateKey]:
        return self.people[name], key_of(name)

    @property
    def host(self) -> Workspace:
        return self.people["organizer"]

    def until(self, window: str, hours: int = 0) -> None:
        ends = self.host.challenge(self.identity).windows
        ahead = getattr(ends, window) + hours * HOUR - self.host.ledger.time()
        if ahead > 0:
            self.host.ledger.submit(key_of("organizer"), AdvanceTime(ahead))

    def play(self) -> None:
        panel = [key_of(name).address for name in JUDGES]
        folder = new_challenge(self.host, None, "digits", panel)
        draft = organizer.read_draft(folder / "challenge.toml")
        self.identity = organizer.create(*self.of("organizer"), draft).id
        for name in JUDGES:
            seeds.contribute(*self.of(name), self.identity)
        self.until("contribute")
        for name in ("organizer", *JUDGES):
            seeds.open_seed(*self.of(name), self.identity)
        self.until("open_seed")
        self.host.send(key_of("organizer"), Draw(self.identity))
        organizer.reveal(*self.of("organizer"), self.identity, "train")
        self._submit()
        self.until("submit")
        challenge = self.host.challenge(self.identity)
        for entry in challenge.submissions:
            if entry.number != self.unopened:
                name = self.names[entry.submitter]
                submitter.open_submission(*self.of(name), self.identity, entry.number)
        self.until("open")
        organizer.reveal(*self.of("organizer"), self.identity, "test")
        self._judge()
        for name in self.people:
            claim_all(*self.of(name))

    def _submit(self) -> None:
        challenge = self.host.challenge(self.identity)
        rows = fetch_rows(self.host, challenge, self.host.manifest(challenge), "train")
        before: list[bytes] = []
        for name, hours, kind in entries():
            self.until("reveal_train", hours)
            before.append(trained(kind, rows, before))
            submitter.submit(*self.of(name), self.identity, before[-1])
            if kind == "unopened":
                self.unopened = len(before) - 1

    def _judge(self) -> None:
        self.until("reveal_test")
        self.host.send(key_of("Vera"), Convene(self.identity))
        with self._pool() as pool:
            found = assess(self.host, self.host.challenge(self.identity), pool)
        for name in JUDGES:
            validator.cast_vote(*self.of(name), self.identity, found)
        self.until("vote")
        for name in JUDGES:
            validator.open_vote(*self.of(name), self.identity)
        self.until("open_vote")
        self.host.send(key_of("Vera"), Finalize(self.identity))

    def write(self, folder: Path) -> None:
        """The page of the competition."""
        challenge = self.host.challenge(self.identity)
        facts = read_facts(self.host, challenge, names=self.names)
        write_site(folder, site(self.host, facts))


def screenshots(page: Path, folder: Path) -> None:
    """light.png, dark.png and phone.png of a page, small enough for a repository."""
    browser = Chromium(executable() or "chromium")
    try:
        for name, width, height, scale, dark in (
            ("light", 1200, 1640, 1.0, False),
            ("dark", 1200, 1640, 1.0, True),
            ("phone", 390, 1400, 1.5, False),
        ):
            browser.look(width, height, dark=dark, scale=scale)
            browser.open(page.as_uri())
            browser.screenshot(folder / f"{name}.png")
            with Image.open(folder / f"{name}.png") as image:
                few = image.convert("RGB").quantize(200, dither=Image.Dither.NONE)
                few.save(folder / f"{name}.png", optimize=True)
    finally:
        browser.close()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="danku-showcase-") as name:
        root = Path(sys.argv[1] if len(sys.argv) > 1 else name).resolve()
        if not (root / "site").exists():
            play = Play(root)
            play.play()
            play.write(root / "site")
        screenshots(root / "site" / "index.html", DOCS)


if __name__ == "__main__":
    main()
