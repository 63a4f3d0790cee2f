"""The pages for people: links lead somewhere, every page is near, every named thing exists."""

import re

import pytest
from source_tree import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
LINK = re.compile(r"\[[^\]]+\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)")


def _targets(page):
    """(path, anchor) of each link of a page into the repository."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for path, anchor in LINK.findall(text):
        yield (page.parent / path).resolve() if path else page, anchor.removeprefix("#")


def _anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in _targets(page):
        assert target.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in _anchors(target), f"{page.name} links to {target.name}#{anchor}"


def test_every_page_is_two_clicks_from_the_readme():
    reached = {ROOT / "README.md"}
    for _ in range(2):
        reached |= {
            target for page in reached for target, _ in _targets(page) if target.suffix == ".md"
        }
    assert set(PAGES) <= reached


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    """Of the paths in code marks, those into the repository."""
    folders = "protos|samples|scripts|tests|docs|dataset_tools|object_detection|benchmarks"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", page.read_text(encoding="utf-8"))
    for path in named:
        assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_every_command_of_make_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        for command in re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8")):
            assert command in targets, f"{page.name} names make {command}"


def test_every_flag_that_is_named_exists():
    source = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("object_detection", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    )
    others = {"help", "editable", "no-deps", "logdir"}  # of absl, pip and tensorboard
    others |= {"verbosity", "shm-size", "no-binary"}  # of absl, of containers and of pip
    others |= {"flink_master", "parallelism", "environment_type", "environment_config"}  # of Beam
    others |= {"job_endpoint", "project", "region", "temp_location", "sdk_container_image"}
    others |= {"max_num_workers"}
    for page in PAGES:
        for flag in set(re.findall(r"(?<![\w-])--([a-z][\w-]+)", page.read_text(encoding="utf-8"))):
            known = flag in others or f'"{flag}"' in source or f'"--{flag}"' in source
            assert known, f"{page.name} names --{flag}"


def test_the_package_is_installed_from_its_checkout():
    """On the package index `object_detection` is another project, whose code would be run."""
    strange = re.compile(r"""pip\d? install [^\n`]*?["' ]object[_-]detection\b""")
    files = [*PAGES, *(ROOT / "notebooks").glob("*.ipynb"), ROOT / "setup.py", ROOT / "Makefile"]
    for folder in ("object_detection", "scripts", "benchmarks", "dataset_tools"):
        files += [p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".sh", ".md")]
    for path in files:
        found = strange.search(path.read_text(encoding="utf-8"))
        assert not found, f"{path.relative_to(ROOT)}: {found[0]}"
    assert strange.search("pip install 'object_detection[serve]'")
    assert not strange.search("pip install --editable '.[serve]'")


def test_the_readme_activates_the_environment_that_it_makes():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    made, activated = text.index("-m venv"), text.index(". .venv/bin/activate")
    assert made < activated < text.index("\npython ", made)
