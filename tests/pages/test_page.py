"""The page itself: whole in one file, readable for everybody, and deaf to what others wrote."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from danku.pages.data import as_json, page_data
from danku.pages.facts import Facts
from danku.pages.icons import icon
from danku.pages.render import FIRST_ROWS, asset, render_board
from danku.pages.text import plain, score, shown
from danku.protocol.types import SCORE_UNIT
from danku.roles.winner import Winner
from tests.pages.chromium import Chromium, wait_for
from tests.pages.conftest import SiteAt
from tests.pages.synthetic import address, facts
from tests.roles.conftest import ArenaAt

HOSTILE = (
    '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=2">'
    "<!--{{7*7}}\\u202e\u202eevil\u2066\x1b[31m&amp;\"'`javascript:alert(1)<svg onload=hacked()>"
)
HUGE = "W" * 5_000
WRITTEN = {"hostile": HOSTILE, "huge": HUGE, "arabic": "منافسة مفتوحة للجميع ١٢٣"}


class Outline(HTMLParser):
    """What stands in a page: its elements, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def page(found: Facts) -> str:
    return render_board(found)


def put(found: Facts, folder: Path) -> str:
    """The facts' page as a file; its address."""
    path = folder / "index.html"
    path.write_text(page(found), "utf-8")
    return path.as_uri()


def test_a_page_is_whole_in_one_file_and_loads_nothing() -> None:
    outline = Outline(page(facts(30)))
    for tag, attributes in outline.elements:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        assert "src" not in attributes and tag not in ("link", "iframe", "object", "base", "embed")
        link = attributes.get("href") or "#"
        assert link.startswith(("#", "ipfs://")), link
    assert sum(1 for tag, _ in outline.elements if tag == "script") == 2


def test_the_policy_allows_the_one_script_and_the_one_style_sheet() -> None:
    text = page(facts(3))
    outline = Outline(text)
    [policy] = [
        attributes["content"] or ""
        for tag, attributes in outline.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["connect-src"] == rules["base-uri"] == "'none'"
    for name, content in (("script-src", asset("page.js")), ("style-src", asset("page.css"))):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules[name]
        assert "unsafe" not in rules[name]
        assert content in text, "the hash is of what stands in the page"
    assert "</script" not in asset("page.js").lower() and "<!--" not in asset("page.js")


def test_the_script_is_the_one_built_from_the_sources() -> None:
    """`make browser` builds it again; whoever edits a source has to."""
    from danku.pages.browser.build import ASSETS, HERE, digest, sources

    noted = json.loads((ASSETS / "page.json").read_text("utf-8"))
    assert noted == {"sources": digest(sources()), "built": digest([ASSETS / "page.js"])}
    packages = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    assert all(each.get("integrity") for name, each in packages.items() if name), "all are pinned"
    assert "Paul Miller" in (ASSETS / "page.js.LICENSE").read_text("utf-8")


def test_the_same_facts_give_the_same_bytes() -> None:
    assert page(facts(50)) == page(facts(50))


@pytest.mark.parametrize("words", WRITTEN.values(), ids=WRITTEN)
def test_what_others_wrote_stays_text(words: str) -> None:
    text = page(facts(40, words=words, names=True, yardstick=2))
    elements = Outline(text).elements
    expected = Outline(page(facts(40, names=True, yardstick=2))).elements
    assert [tag for tag, _ in elements] == [tag for tag, _ in expected], "no element more or less"
    assert not {character for character in text if ord(character) < 32} - {"\n"}
    assert not set(text) & set("\u202e\u2066\x1b\x7f\u200b\ufeff")


def test_data_cannot_end_its_element() -> None:
    text = as_json({"name": "</script><!--&\u2028"})
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == {"name": "</script><!--&\u2028"}


def test_ten_thousand_submissions_stay_below_three_megabytes() -> None:
    found = facts(10_000, names=True, yardstick=20)
    text = page(found)
    assert len(text.encode()) < 3_000_000
    assert text.count('<th scope="row" role="rowheader"') == 2 * FIRST_ROWS
    assert text.count("Rows 1 to 100 of 10,000.") == 2
    assert [len(page_data(found)[name]) for name in ("rows", "reports")] == [10_000, 10_000]


def test_reported_scores_stand_apart_in_the_order_of_submission() -> None:
    text = page(facts(60, yardstick=2))
    board, _, reports = text.partition('<section aria-labelledby="self-reported">')
    reports = reports.partition("</section>")[0]
    numbers = [int(number) for number in re.findall(r"no\. (\d+)<", reports)]
    assert numbers == list(range(60))
    scores = re.findall(r'class="amount">([\d.]+)<', reports)
    assert len(scores) == 60 and scores not in (sorted(scores), sorted(scores, reverse=True))
    unseen = {each for each in scores if each != "1.000000"}
    assert not unseen & set(re.findall(r'class="score">([\d.]+)<', board))
    became = re.findall(r'class="tag (\w+)">(\w+)<', reports)
    assert all(name == word for name, word in became)
    words = [word for _, word in became]
    assert [words.count(word) for word in ("holds", "false", "unchecked")] == [54, 3, 3]
    assert words[17] == "false" and words[19] == "unchecked"
    assert "Nobody has checked it before the models are opened" in reports
    assert "a false one rejects the entry" in reports


def test_where_scores_cannot_be_reported_nothing_is_said_of_it() -> None:
    without = page(facts(9)).partition('id="data"')[0]
    assert "self-reported" not in without and "yardstick" not in without
    found = facts(0)
    empty = page(replace(found, board=replace(found.board, yardstick_groups=1)))
    assert "on 1 group of the train data" in empty
    assert "Nobody has reported a score." in empty


def test_numbers_as_people_write_them() -> None:
    assert [shown(value) for value in (0.5, 1234.5, -2.25, 1e9, float("inf"), 0.00001)] == [
        *("0.5", "1,234", "−2.25", "1.00e+09", "∞", "1.00e-05")
    ]
    assert score(-SCORE_UNIT * 3 // 2) == "−1.500000"
    assert plain("a\u202eb\nc\x00") == "a\N{REPLACEMENT CHARACTER}b\nc\N{REPLACEMENT CHARACTER}"


def test_plots_of_extreme_scores_have_finite_places() -> None:
    found = facts(12)
    for scores in ([2**63 - 1] * 12, [-(2**63 - 1), 2**63 - 1] * 6, [0] * 12):
        entries = tuple(
            replace(entry, score=scores[place], rank=place + 1)
            for place, entry in enumerate(found.entries)
        )
        text = page(replace(found, entries=entries))
        assert "nan" not in re.findall(r'(?:x|y|d|width|height)="([^"]*)"', text)
        assert "inf" not in "".join(re.findall(r' (?:x|y|d|width|height)="([^"]*)"', text))


def test_predictions_are_plotted_for_regression() -> None:
    pairs = tuple((place / 10, place / 10 + (-1) ** place) for place in range(200))
    looked = replace(facts(9), winner=Winner(0, "test", 400, pairs=(*pairs, (float("nan"), 1.0))))
    text = page(looked)
    assert "Predictions of the winner" in text and "200 rows are drawn" in text
    missing = replace(facts(9), winner=Winner(0, "test", 400, problem="nobody serves <it>"))
    assert "is not shown: nobody serves &lt;it&gt;." in page(missing)


def test_a_challenge_on_ethereum_says_where_its_record_is(
    browser: Chromium, tmp_path: Path
) -> None:
    found = facts(5, yardstick=1)
    found = replace(found, record=replace(found.record, embedded=False, lines=0))
    text = page(found)
    assert "on an Ethereum network" in text and found.record.ledger in text
    assert "verify-button" not in text.partition('id="data"')[0]
    browser.open(put(found, tmp_path))
    assert len(rows(browser)) == len(browser.evaluate(REPORTED)) == 5
    assert browser.complaints == []


@pytest.mark.parametrize("words", WRITTEN.values(), ids=WRITTEN)
def test_hostile_words_are_inert_and_break_no_layout(
    browser: Chromium, tmp_path: Path, words: str
) -> None:
    url = put(facts(140, words=words, names=True, yardstick=2), tmp_path)
    for width in (360, 1280):
        browser.look(width, 800)
        browser.open(url)
        browser.evaluate("document.getElementById('following').click()")
        browser.evaluate("document.getElementById('report-following').click()")
        browser.evaluate("document.getElementById('search').value = '<script>'")
        browser.evaluate("document.getElementById('search').dispatchEvent(new Event('input'))")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.evaluate("window.hacked") is None
        assert browser.evaluate("document.querySelectorAll('script, img').length") == 2
    assert browser.complaints == []
    assert browser.requests == [url]


STEPS = ["create", "submit", "open_votes", "claim"]


@pytest.mark.parametrize("step", STEPS)
def test_a_page_fits_a_phone_and_asks_for_nothing(
    browser: Chromium, site_at: SiteAt, step: str
) -> None:
    browser.look(360, 780)
    browser.open(site_at(step).as_uri())
    assert browser.evaluate("document.documentElement.scrollWidth") <= 360
    assert browser.evaluate(OVERFLOWING) == []
    assert browser.complaints == []
    assert browser.requests == [site_at(step).as_uri()]


OVERFLOWING = """[...document.querySelectorAll("body *")].filter(item =>
    item.getBoundingClientRect().right > innerWidth + 1
    && getComputedStyle(item).position !== "absolute"
    && !item.closest(".unseen, thead")).map(item => item.outerHTML.slice(0, 120))"""

CONTRAST = """(() => {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = colour => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], [x, y, z]) =>
    [r, g, b].map((part, place) => part * a / 255 + [x, y, z][place] * (1 - a / 255));
  const ground = item => {
    if (!item) return rgba(getComputedStyle(document.body).backgroundColor);
    const own = rgba(getComputedStyle(item).backgroundColor);
    return own[3] === 255 ? own : over(own, ground(item.parentElement));
  };
  const light = colour => {
    const [r, g, b] = colour.map(part => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim();
    const item = walk.currentNode.parentElement;
    const box = item.getBoundingClientRect();
    if (!text || !box.width || item.closest("script, style, .unseen, .skip, svg")) continue;
    if (item.closest("button:disabled, option")) continue;
    const under = ground(item);
    const [a, b] = [light(over(rgba(getComputedStyle(item).color), under)), light(under)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${text.slice(0, 40)} ${item.className}`);
  }
  return bad;
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_words_stand_out_from_their_ground(
    browser: Chromium, site_at: SiteAt, tmp_path: Path, dark: bool
) -> None:
    for url in (put(facts(60, names=True, yardstick=2), tmp_path), site_at("submit").as_uri()):
        browser.look(1280, 900, dark=dark)
        browser.open(url)
        browser.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
        assert browser.evaluate(CONTRAST) == []


NAMELESS = """[...document.querySelectorAll("button, a, input, select, table, figure, nav, svg")]
  .filter(item => {
    if (item.getAttribute("aria-hidden") === "true") return false;
    if (item.tagName === "svg") return !item.querySelector("title") || item.role !== "img";
    if (item.tagName === "TABLE") return !item.caption;
    if (item.tagName === "FIGURE") return !item.querySelector("figcaption");
    if (item.tagName === "NAV") return !item.getAttribute("aria-label");
    if (item.labels && item.tagName !== "BUTTON")
      return ![...item.labels].some(label => label.textContent.trim());
    return !item.textContent.trim();
  }).map(item => item.outerHTML.slice(0, 100))"""

STRUCTURE = """({
  language: document.documentElement.lang,
  title: document.title,
  headings: [...document.querySelectorAll("h1, h2, h3")].map(item => Number(item.tagName[1])),
  doubled: [...document.querySelectorAll("[id]")].map(item => item.id)
    .filter((id, place, all) => all.indexOf(id) !== place),
  loose: [...document.querySelectorAll("th")].filter(item => !item.scope).length,
  lost: [...document.querySelectorAll("a[href^='#'], [aria-labelledby], [aria-describedby]")]
    .flatMap(item => (item.hash ? item.hash.slice(1) : item.getAttribute("aria-labelledby")
      || item.getAttribute("aria-describedby")).split(" "))
    .filter(id => !document.getElementById(id)),
  live: document.querySelectorAll("[aria-live]").length,
})"""


def test_a_screen_reader_finds_names_captions_and_an_order(
    browser: Chromium, tmp_path: Path
) -> None:
    browser.open(put(facts(130, names=True, yardstick=2), tmp_path))
    assert browser.evaluate(NAMELESS) == []
    found = browser.evaluate(STRUCTURE)
    assert found["language"] == "en" and "A crowd of models" in found["title"]
    levels = found["headings"]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert found["doubled"] == [] and found["lost"] == [] and found["loose"] == 0
    assert found["live"] >= 2


def focused(browser: Chromium) -> str:
    return str(browser.evaluate("document.activeElement.id || document.activeElement.textContent"))


def test_a_keyboard_is_enough(browser: Chromium, site_at: SiteAt) -> None:
    browser.open(site_at("claim").as_uri())
    browser.press("Tab")
    assert focused(browser) == "Skip to the content"
    assert browser.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    browser.press("Enter")
    assert focused(browser) == "main"
    seen = []
    for _ in range(80):
        browser.press("Tab")
        seen.append(focused(browser))
        ringed = "getComputedStyle(document.activeElement).outlineStyle !== 'none'"
        assert browser.evaluate(ringed), f"no focus is to be seen on {seen[-1]}"
        if seen[-1] == "verify-button":
            break
    assert "Timeline" in seen and "verify-button" in seen
    browser.press("Enter")
    browser.until("document.getElementById('verify-said').className.endsWith(' ok')")
    while focused(browser) != "theme":
        browser.press("Tab", shift=True)
    theme = "document.documentElement.dataset.theme"
    for expected in ("light", "dark", "system"):
        browser.press(" ")
        assert browser.evaluate(theme) == expected


def test_the_chosen_theme_is_remembered(browser: Chromium, site_at: SiteAt) -> None:
    url = site_at("claim").as_uri()
    browser.open(url)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = browser.evaluate(ground)
    for _ in range(2):
        browser.evaluate("document.getElementById('theme').click()")
    dark = browser.evaluate(ground)
    assert dark != light
    # NOTE: what a page stores reaches the process of the next one a moment later.
    wait_for(lambda: bool(browser.open(url)) and browser.evaluate(ground) == dark)
    browser.evaluate("localStorage.clear()")


def rows(browser: Chromium) -> list[str]:
    """The submission numbers in the table."""
    found: list[str] = browser.evaluate(
        "[...document.querySelectorAll('#rows .sent small')].map(item => item.textContent)"
    )
    return found


def test_rows_are_turned_over_and_looked_for(browser: Chromium, tmp_path: Path) -> None:
    found = facts(250, names=True)
    order = [f"no. {entry.number}" for entry in found.entries]
    browser.open(put(found, tmp_path))
    assert rows(browser) == order[:100]
    browser.evaluate("document.getElementById('following').click()")
    assert rows(browser) == order[100:200]
    browser.evaluate("document.getElementById('following').click()")
    assert rows(browser) == order[200:]
    assert browser.evaluate("document.getElementById('following').disabled")
    assert browser.evaluate("document.getElementById('rows-said').textContent") == (
        "Rows 201 to 250 of 250."
    )
    search = "document.getElementById('search')"
    browser.evaluate(f"{search}.value = '{found.entries[7].submitter[:12]}'")
    browser.evaluate(f"{search}.dispatchEvent(new Event('input'))")
    wanted = [e for e in found.entries if e.submitter == found.entries[7].submitter]
    assert rows(browser) == [f"no. {entry.number}" for entry in wanted]
    browser.evaluate(f"{search}.value = ''")
    status = "document.getElementById('status')"
    browser.evaluate(f"{status}.value = 'rejected'")
    browser.evaluate(f"{status}.dispatchEvent(new Event('change'))")
    refused = [entry for entry in found.entries if entry.status == "rejected"]
    assert rows(browser) == [f"no. {entry.number}" for entry in refused]


REPORTED = "[...document.querySelectorAll('#report-rows small')].map(item => item.textContent)"


def test_reports_are_turned_over_apart_from_the_rows(browser: Chromium, tmp_path: Path) -> None:
    found = facts(250, names=True, yardstick=2)
    browser.look(360, 780)
    browser.open(put(found, tmp_path))
    ranked = rows(browser)
    for first, last in ((0, 100), (100, 200), (200, 250)):
        if first:
            browser.evaluate("document.getElementById('report-following').click()")
        assert browser.evaluate(REPORTED) == [f"no. {number}" for number in range(first, last)]
        assert browser.evaluate("document.getElementById('report-said').textContent") == (
            f"Rows {first + 1} to {last} of 250."
        )
        assert browser.evaluate("document.documentElement.scrollWidth") <= 360
        assert browser.evaluate(OVERFLOWING) == []
    assert browser.evaluate("document.getElementById('report-following').disabled")
    browser.evaluate("document.getElementById('report-previous').click()")
    assert browser.evaluate(REPORTED)[0] == "no. 100"
    assert rows(browser) == ranked
    assert browser.complaints == []


@pytest.mark.parametrize("body", ["rows", "report-rows"])
def test_the_script_draws_rows_as_the_page_has_them(
    browser: Chromium, tmp_path: Path, body: str
) -> None:
    """Rows that the script draws differ in nothing from those in the HTML."""
    found = facts(120, names=True, yardstick=2)
    browser.open(put(found, tmp_path))
    inner = re.search(rf'id="{body}">(.*?)</tbody>', page(found), re.DOTALL)
    assert inner
    said = "[item.className, item.getAttribute('role'), item.textContent.trim()]"
    there = browser.evaluate(
        f"""(() => {{
            const table = document.createElement("table");
            table.innerHTML = "<tbody>" + {json.dumps(inner[1])} + "</tbody>";
            return [...table.querySelectorAll("tr, th, td, .tag")].map(item => {said});
        }})()"""
    )
    drawn = f"[...document.getElementById('{body}').querySelectorAll('tr, th, td, .tag')]"
    assert browser.evaluate(f"{drawn}.map(item => {said})") == there
    hue, path = icon(address("x"))
    assert 0 <= hue < 360 and path.startswith("M")


def test_it_looks_another_way_in_the_dark_and_on_a_phone(
    browser: Chromium, stages: ArenaAt, site_at: SiteAt, tmp_path: Path
) -> None:
    """The screenshots are left in the test's folder, to be looked at."""
    bright = {}
    for name, width, dark in (("light", 1280, False), ("dark", 1280, True), ("phone", 360, False)):
        browser.look(width, 900, dark=dark)
        browser.open(site_at("claim").as_uri())
        browser.screenshot(tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.width == width
            [bright[name]] = ImageStat.Stat(image.convert("L")).mean
    assert bright["light"] > 200 > 60 > bright["dark"]
    assert bright["phone"] > 180


def test_without_script_the_first_rows_are_there(browser: Chromium, tmp_path: Path) -> None:
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.send("Page.navigate", url=put(facts(120, yardstick=2), tmp_path))
        browser.until("document.readyState === 'complete' && !!document.getElementById('rows')")
        assert len(rows(browser)) == FIRST_ROWS
        assert len(browser.evaluate(REPORTED)) == FIRST_ROWS
        hidden = "getComputedStyle(document.getElementById('verify-form')).display"
        assert browser.evaluate(hidden) == "none", "what does nothing is not shown"
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.soak
def test_building_the_script_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """Needs node, npm and the libraries; everything else about the script is tested without."""
    from danku.pages.browser.build import ASSETS, build

    if shutil.which("npm") is None:
        pytest.skip("npm is missing: apt-get install nodejs npm")
    build(tmp_path)
    for name in ("page.js", "page.js.LICENSE", "page.json"):
        assert (tmp_path / name).read_bytes() == (ASSETS / name).read_bytes(), name
