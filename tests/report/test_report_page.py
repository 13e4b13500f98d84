"""The page of one run: every section from its file, every string escaped, nothing fetched, nothing half written."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import fake_runs
import numpy as np
import pytest

from jepakit.report import build_report
from jepakit.storage import Run
from jepakit.types import UserError

VOID = {"meta", "link", "br", "img", "hr", "input"}
SECTIONS = {
    "masks": "artifacts/masks.npz",
    "views": "artifacts/views.npz",
    "reconstruction": "artifacts/reconstruction.npz",
    "features": "artifacts/features.npz",
    "energy": "artifacts/energy.npz",
    "neighbours": "artifacts/neighbours.npz",
    "probes": "evaluation.json",
    "robustness": "evaluation.json",
    "curves": "metrics.jsonl",
    "health": "metrics.jsonl",
    "skipped": "skipped.json",
}


class Page(HTMLParser):
    """Parse a page: its elements, the text of it, and whether elements are closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.source = text
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    def ids(self) -> set[str]:
        return {attributes["id"] for tag, attributes in self.elements if tag == "section" and "id" in attributes}


def page_of(run: Path) -> Page:
    return Page(build_report(run).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(fake_runs.full_run(tmp_path_factory.mktemp("full")))


def test_full_run_has_every_section_and_is_well_formed(full: Page) -> None:
    assert full.ids() == {"verdict", "record", *SECTIONS}
    assert full.open == []
    assert "Not on this page" not in full.text


def test_order_is_verdict_curves_pictures_probes_robustness_skipped_record(full: Page) -> None:
    order = [a["id"] for tag, a in full.elements if tag == "section" and "id" in a]
    expected = (
        "verdict curves health masks views reconstruction features energy neighbours probes robustness skipped record"
    )
    assert order == expected.split()


@pytest.mark.parametrize("file", sorted(set(SECTIONS.values())))
def test_a_missing_file_takes_its_sections_and_no_others(tmp_path: Path, file: str) -> None:
    run = fake_runs.full_run(tmp_path)
    (run / file).unlink()
    gone = {section for section, needed in SECTIONS.items() if needed == file}
    assert page_of(run).ids() == {"verdict", "record", *SECTIONS} - gone


def test_an_empty_directory_says_what_to_run(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert page.ids() == {"verdict", "record"}
    assert "Health was not measured" in page.text
    assert f"jepakit evaluate {tmp_path}" in page.text
    assert f"jepakit train RECIPE --out {tmp_path}" in page.text


def test_no_directory_is_the_users_mistake_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere is no directory"):
        build_report(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_page_loads_nothing_and_runs_nothing(full: Page) -> None:
    for tag, attributes in full.elements:
        assert tag not in {"script", "iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, name)
    assert "url(" not in full.source
    assert "@import" not in full.source
    assert "http://" not in full.source
    assert "https://" not in full.source
    policy = next(a["content"] for tag, a in full.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_page_is_light(full: Page) -> None:
    assert len(full.source.encode()) < 400_000


def test_skipped_files_are_all_named_and_harmless(full: Page) -> None:
    assert "3 lines, each a file or a kind of file." in full.text
    for entry in ("train/<script>.png", "train/a/broken.jpg", "train/zero.png"):
        assert entry in full.text
    assert "<script>.png" not in full.source
    assert "train/&lt;script&gt;.png" in full.source


def test_no_skipped_file_is_said_too(tmp_path: Path) -> None:
    fake_runs.write_json(tmp_path / "skipped.json", [])
    assert "No file was skipped." in page_of(tmp_path).text


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


def test_script_like_strings_anywhere_are_text(tmp_path: Path) -> None:
    run = fake_runs.full_run(tmp_path)
    fake_runs.write_config(run, recipe=EVIL, **{EVIL: {EVIL: EVIL}})
    fake_runs.write_json(run / "env.json", {"command": EVIL, EVIL: EVIL, "device": EVIL})
    fake_runs.write_json(run / "skipped.json", [{"name": EVIL, "reason": EVIL}])
    row = fake_runs.health_row(2001, 2000)
    row["verdict"] = {"kind": EVIL, "healthy": False, "sentence": EVIL, "evidence": [EVIL], "advice": [EVIL]}
    row["spaces"] = {EVIL: {EVIL: 1.0}}
    train = fake_runs.train_row(2001, 2000, np.random.default_rng(0)) | {f"term/{EVIL}": 1.0}
    Run(run).log(row)
    Run(run).log(train)
    text = (
        json.dumps(fake_runs.evaluation()).replace('"raw pixels"', json.dumps(EVIL)).replace('"knn"', json.dumps(EVIL))
    )
    (run / "evaluation.json").write_text(text.replace('"blur"', json.dumps(EVIL)), encoding="utf-8")
    fake_runs.write_json(run / "artifacts/non-finite-0.json", {"step": 3000, EVIL: EVIL})
    arrays = dict(np.load(run / "artifacts/neighbours.npz"))
    arrays["names"] = np.full(arrays["similarity"].shape, EVIL)
    np.savez(run / "artifacts/neighbours.npz", **arrays)
    page = page_of(run)
    assert page.open == []
    assert not {tag for tag, _ in page.elements} & {"script", "img"}
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count(EVIL) >= 12


def test_verdict_stands_first_with_evidence_and_advice(tmp_path: Path) -> None:
    fake_runs.write_metrics(tmp_path, kind="dimensional")
    page = page_of(tmp_path)
    verdict = fake_runs.health_row(2000, 2000, "dimensional")["verdict"]
    for line in (verdict["sentence"], *verdict["evidence"], *verdict["advice"]):
        assert html.escape(line, quote=False) in page.source
    assert "Health at step 2,000: dimensional collapse" in page.text
    assert next(a["class"] for tag, a in page.elements if a.get("id") == "verdict") == "verdict bad alone"


@pytest.mark.parametrize(
    ("kind", "healthy", "state"), [("healthy", True, "good"), ("watch", True, "watch"), ("odd", None, "open")]
)
def test_verdict_state_is_drawn(tmp_path: Path, kind: str, healthy: bool | None, state: str) -> None:
    Run(tmp_path).log({"kind": "health", "step": 1, "verdict": {"kind": kind, "healthy": healthy}})
    page = page_of(tmp_path)
    assert next(a["class"] for tag, a in page.elements if a.get("id") == "verdict") == f"verdict {state} alone"


def test_headline_number_stands_beside_its_best_floor(full: Page) -> None:
    document = fake_runs.evaluation()
    rows = {score["arm"]: score for score in document["scores"] if score["name"] == "kshot_5"}
    gain = next(gain for gain in document["gains"] if gain["name"] == "kshot_5")
    headline = full.text[full.text.index("5 labels a class") :][:400]
    assert f"{100 * rows['jepa']['value']:.1f}%" in headline
    assert f"{100 * rows['jepa']['low']:.1f} to {100 * rows['jepa']['high']:.1f}%" in headline
    assert f"{gain['against']} at {100 * rows[gain['against']]['value']:.1f}%" in headline
    assert f"{100 * gain['value']:+.1f} points" in headline
    assert "test split" in headline


def test_command_environment_and_settings_are_exact(full: Page) -> None:
    assert "jepakit train digits-ijepa-sigreg --out runs/demo --training.num-steps 2000" in full.text
    for value in ("2.13.0+cpu", "Linux-6.8-x86_64-with-glibc2.36", "smooth_l1", "[0.9, 0.999]", "encoder.patch_size"):
        assert value in full.text


def test_unfinished_run_and_non_finite_step_are_said(tmp_path: Path) -> None:
    fake_runs.write_config(tmp_path, num_steps=4000)
    fake_runs.write_metrics(tmp_path, 2000)
    fake_runs.write_json(tmp_path / "artifacts/non-finite-0.json", {"step": 2003, "loss": "nan", "sigreg": 0.3})
    page = page_of(tmp_path)
    assert "2,000 of 4,000, unfinished" in page.text
    assert "Training stopped: step 2,003 was not finite (loss was nan)." in page.text


def test_non_finite_step_that_training_went_past_is_history(tmp_path: Path) -> None:
    fake_runs.write_metrics(tmp_path, 2000)
    fake_runs.write_json(tmp_path / "artifacts/non-finite-0.json", {"step": 700, "loss": "nan"})
    assert "Training stopped" not in page_of(tmp_path).text


def test_page_is_written_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build_report(fake_runs.full_run(tmp_path))
    before = path.read_bytes()

    def fail(self: Path, data: bytes) -> int:
        self.write_text(data[:100].decode())
        raise OSError("the power failed")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        with pytest.raises(OSError, match="the power failed"):
            build_report(tmp_path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []


def test_rebuilding_changes_nothing(tmp_path: Path) -> None:
    path = build_report(fake_runs.full_run(tmp_path))
    first = path.read_bytes()
    assert build_report(Run(tmp_path)).read_bytes() == first


def test_file_names_that_are_no_utf8_survive(tmp_path: Path) -> None:
    fake_runs.write_json(tmp_path / "skipped.json", [{"name": "bad\udcff.png", "reason": "not an image"}])
    page = page_of(tmp_path)
    assert "bad?.png" in page.text


def test_glossary_explains_on_hover(full: Page) -> None:
    tips = re.findall(r'RankMe<span class="tip" role="tooltip">([^<]+)', full.source)
    assert tips
    assert "directions" in tips[0]
