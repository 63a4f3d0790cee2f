"""The page in a real browser, headless: what is shown, filters, keys, a phone's screen."""

import pytest
from made_page import NASTY, write

from object_detection.reports import findings


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return write(tmp_path_factory.mktemp("page") / "data.html").as_uri()


@pytest.fixture
def page(open_page, address):
    return open_page(address)


def shown(page):
    return page.locator(".card .id").all_text_contents()


def tick(page, name):
    page.get_by_label(name).check()


def test_all_images_of_the_first_view_are_shown(page):
    assert page.title() == "Data: <some> & such"
    assert shown(page) == [f"image-{k}" for k in range(5)]
    assert page.locator("#status").text_content() == "5 of 5 drawn images"
    assert page.locator(".card .no-picture").text_content() == "no picture: no image"
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    widths = page.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert widths == [80] * 4


def test_texts_of_the_data_stay_texts(page):
    page.locator(".card", has_text="image-4").click()

    assert page.locator("#inside td", has_text=NASTY).count() == 2
    assert page.locator("b, i").count() == 0


def test_filter_by_class_and_by_finding(page):
    tick(page, "dog")
    assert shown(page) == ["image-0", "image-1"]

    tick(page, findings.TINY)
    assert shown(page) == ["image-1"]

    page.get_by_role("button", name="Clear filters").click()
    assert len(shown(page)) == 5
    tick(page, "(no object)")
    assert shown(page) == ["image-2", "image-3"]


def test_two_classes_show_the_images_of_either(page):
    tick(page, "dog")
    tick(page, NASTY)

    assert shown(page) == ["image-0", "image-1", "image-4"]


def test_findings_are_listed_with_the_gravest_first(page):
    labels = page.locator("#findings label span:first-of-type").all_text_contents()

    assert labels == ["no image", findings.TINY, findings.NO_OBJECTS]


def test_search_by_id_and_of_a_class(page):
    page.get_by_label("Search").fill("AGE-3")
    assert shown(page) == ["image-3"]

    page.get_by_label("Find a class").fill("do")
    assert page.locator("#classes label:visible").all_inner_texts() == ["dog\n2"]


def test_filters_outlive_a_reload(page):
    tick(page, NASTY)
    page.keyboard.press("v")
    page.reload()

    assert shown(page) == ["image-4"]
    assert page.locator(".tab[aria-selected=true]").text_content() == "As the model sees them"


def test_the_other_view_has_its_own_images_and_figures(page):
    page.get_by_role("tab", name="As the model sees them").click()

    assert shown(page) == ["image-0", "image-4"]
    assert page.locator(".tables:visible > p").text_content() == "Two."


def test_keys_alone_suffice(page):
    page.keyboard.press("/")
    page.keyboard.type("image-")
    page.keyboard.press("Escape")
    page.locator(".card").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.locator("h2").text_content() == "image-1"

    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert dialog.locator("h2").text_content() == "image-3"
    assert "no image: <i>odd</i>" in dialog.locator("li").all_text_contents()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#counter").text_content() == "1 of 5"
    page.keyboard.press("v")
    assert "image-0" in dialog.locator("h2").text_content()

    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.locator(".card:focus .id", has_text="image-0").wait_for()  # a bit after the dialog's end
    page.keyboard.press("c")
    assert page.get_by_label("Search").input_value() == ""


def test_no_sideways_scrolling_on_a_phone(browser, address):
    context = browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True)
    page = context.new_page()
    page.goto(address)

    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) <= 360
    assert not page.locator("#classes").is_visible()
    page.locator("summary", has_text="Classes").click()
    page.get_by_label("dog").check()
    assert shown(page) == ["image-0", "image-1"]
    page.locator("summary", has_text="Figures").click()
    assert page.evaluate(width) <= 360
    page.locator(".card").first.click()
    assert page.get_by_role("dialog").bounding_box()["width"] <= 360
    context.close()


def test_one_view_needs_no_tabs(browser, tmp_path):
    page = browser.new_page()
    page.goto(write(tmp_path / "data.html", model_view=False).as_uri())

    assert not page.locator(".tabs").is_visible()
    page.close()
