"""The report of an evaluation in a real browser, headless."""

import re

import pytest
from made_sets import NASTY, SIZES, write_coco

from object_detection.metrics import coco_results
from object_detection.reports import (
    evaluation_figures,
    evaluation_page,
    ground_truth,
    model_evaluation,
)


def write_report(folder, *, masks=True):
    write_coco(folder, masks=masks)
    truth = ground_truth.from_coco(folder / "truth.json")
    found = coco_results.read(folder / "results.json", SIZES)
    pairs, _ = model_evaluation.collect(truth, lambda image: found[image.image_id])
    scored = model_evaluation.score(truth.categories, pairs)
    path = folder / "report.html"
    evaluation_page.write(path, scored, evaluation_figures.to_dict(scored), ["truth: <a>"])
    return path


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("report")).as_uri()


@pytest.fixture
def page(open_page, address):
    return open_page(address)


def shown(page):
    return page.locator(".card .id").all_text_contents()


def test_nothing_is_fetched_and_texts_stay_texts(page, tmp_path):
    text = write_report(tmp_path).read_text(encoding="utf-8")
    outside = re.findall(r"""(?:src|href)=["'](?!data:)[^"']*|url\(|https?://""", text)
    assert outside == []
    assert page.locator("b").count() == 0
    assert page.locator(".numbers th", has_text=NASTY).first.is_visible()
    assert page.locator(".origin li").first.text_content() == "truth: <a>"


def test_masks_first_and_boxes_by_tab(page):
    tab = ".tab[aria-selected=true]"
    assert page.locator(tab).text_content() == "Masks"
    assert "1 poor mask" in page.locator(".kind:visible p", has_text="At score").text_content()

    page.get_by_role("tab", name="Boxes").click()

    assert page.locator(tab).text_content() == "Boxes"
    assert "0 poor mask" in page.locator(".kind:visible p", has_text="At score").text_content()
    assert "3 found" in page.locator(".kind:visible p", has_text="At score").text_content()


def test_missing_values_say_why(page):
    cell = page.locator(".kind:visible td.none").first

    assert cell.text_content() == "n/a"
    assert cell.get_attribute("title").startswith("no object in the ground truth is")
    reasons = page.locator(".kind:visible .reasons li").all_text_contents()
    assert any(text.startswith("n/a: no nobody in the ground truth (") for text in reasons)


def test_curves_and_confusion_matrix(page):
    charts = page.locator(".kind:visible svg.chart")
    assert [charts.nth(k).locator("polyline").count() for k in range(2)] == [3, 3]
    assert charts.first.bounding_box()["width"] > 300
    rows = page.locator(".kind:visible .confusion tbody tr")
    assert rows.count() == 3  # nobody is left out
    assert rows.nth(0).locator("td").all_text_contents() == ["1", "1", "1"]
    assert rows.nth(2).locator("th").text_content() == "background"
    assert rows.nth(2).locator("td").all_text_contents() == ["1", "2", ""]


def test_a_class_is_picked_out(page):
    page.locator("#class").select_option("dog")

    chosen = page.locator(".kind:visible .chosen")
    assert chosen.count() == 3  # its row and its two curves
    assert shown(page) == ["2", "3"]
    assert page.locator(".card").first.locator("li").all_text_contents() == [
        "false: dog 80%",
        "missed: dog",
    ]


def test_worst_images_and_their_errors(page):
    assert shown(page) == ["2", "3"]
    assert page.locator("#status").text_content() == "2 of 2 drawn images"
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    assert page.evaluate("[...document.images].map((image) => image.naturalWidth)") == [640]
    assert "cannot be read" in page.locator(".no-picture").text_content()

    for kind in ("missed", "false", "double"):
        page.get_by_label(kind).uncheck()
    assert shown(page) == ["3"]


def test_enlarged_by_click_and_keys(page):
    page.locator(".card").first.click()
    dialog = page.get_by_role("dialog")
    assert dialog.locator("h2").text_content() == "2"
    assert dialog.locator("li").count() == 3

    page.keyboard.press("ArrowRight")
    assert dialog.locator("h2").text_content() == "3"
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_boxes_alone_need_no_tabs(open_page, tmp_path):
    page = open_page(write_report(tmp_path, masks=False).as_uri())

    assert not page.locator(".tabs").is_visible()
    assert page.locator(".kind:visible").count() == 1


def test_no_sideways_scrolling_on_a_phone(page):
    page.set_viewport_size({"width": 360, "height": 740})

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
