"""The house stands as its documents say: the tree in the README, the public list, the sizes, a page for every method."""

import ast
import re
import sys
from pathlib import Path

import pytest
from scripts import ROOT, script

import jepakit
from jepakit.hub import METHOD_CONFIGS
from jepakit.recipes import RECIPES

SOURCES = sorted((ROOT / "src/jepakit").rglob("*.py"))
PAGES = sorted((ROOT / "docs").rglob("*.md")) + [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def test_the_tree_in_the_readme_is_the_tree() -> None:
    tree = script("tools/tree.py")
    shown = tree.section((ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown == f"\n```\n{tree.tree()}\n```\n", "run: python tools/tree.py --write"


def test_the_tree_names_every_file_and_what_it_is() -> None:
    lines = script("tools/tree.py").tree().splitlines()
    shown = {re.split(r"\s{2,}", line.strip())[0] for line in lines}
    assert shown >= {path.name for path in SOURCES if path.parent == ROOT / "src/jepakit" or path.name != "__init__.py"}
    assert all(len(re.split(r"\s{2,}", line.strip())) == 2 for line in lines), "a file without a first sentence"
    starts = {line.index(re.split(r"\s{2,}", line.strip())[1]) for line in lines}
    assert len(starts) == 1, "the sentences do not stand below each other"


def test_no_file_is_a_drawer_for_odds_and_ends() -> None:
    names = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}
    assert not names & {"utils", "util", "common", "helpers", "helper", "misc", "tools", "core", "base"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src/jepakit")))
def test_no_file_is_past_its_length_and_each_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 450
    assert ast.get_docstring(ast.parse(text))


def test_a_file_is_one_idea() -> None:
    lengths = sorted(path.read_text(encoding="utf-8").count("\n") for path in SOURCES)
    assert lengths[len(lengths) // 2] <= 150


def test_functions_fit_on_a_screen() -> None:
    lengths = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                has_words = ast.get_docstring(node) is not None and len(node.body) > 1
                first = node.body[1 if has_words else 0]
                lengths.append((node.end_lineno or 0) - first.lineno + 1)
    within = sum(length <= 40 for length in lengths) / len(lengths)
    assert within >= 0.95
    assert max(lengths) <= 60


def test_the_public_list_is_the_same_in_its_three_places() -> None:
    module = ast.parse((ROOT / "src/jepakit/__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in module.body if isinstance(node, ast.If))
    typed = [alias.asname for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(typed) == sorted(jepakit.__all__)  # type: ignore[type-var]
    assert sorted([*jepakit._ROOMS, *jepakit._NAMES]) == sorted(jepakit.__all__)
    for name, room in jepakit._NAMES.items():
        assert getattr(jepakit, name) is getattr(sys.modules[room], name)


def test_every_method_has_a_page_with_its_recipe_and_its_source() -> None:
    recipes = [build() for build in RECIPES.values()]
    for name, config in METHOD_CONFIGS.items():
        file = config.__module__.rpartition(".")[2]
        page = (ROOT / f"docs/methods/{file}.md").read_text(encoding="utf-8")
        assert "arXiv" in page, file
        for part in ("## What it needs", "## Deviations", "## What is logged", "## Command", "## Measured here"):
            assert part in page, f"{file}: {part}"
        for recipe in recipes:
            if type(recipe.method).__name__ == name:
                assert f"`{recipe.recipe}`" in page, f"{file} does not name {recipe.recipe}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_only_what_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    known = {"jepakit", *RECIPES}
    for recipe in re.findall(r"jepakit train ([a-z0-9-]+)", text):
        assert recipe in known, f"{page.name} names the recipe {recipe}"
    for path in re.findall(r"`((?:src|tests|tools|examples|benchmarks|docs)/[\w./-]+\.\w+)`", text):
        assert (ROOT / path).exists(), f"{page.name} names {path}"
