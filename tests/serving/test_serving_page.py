"""The page at the server's root, in a real browser without a screen."""

import json
import time

import numpy as np
import pytest
from asking import ask
from made_models import file_of, picture
from PIL import Image

IMAGE = picture(60, 80, (20, 30, 40, 60))


@pytest.fixture
def page(browser, server):
    """The page, opened; faults, and requests to others, fail the test."""
    context = browser.new_context(viewport={"width": 1100, "height": 750}, accept_downloads=True)
    opened, errors, asked = context.new_page(), [], []
    opened.on(
        "console",
        lambda event: event.type == "error" and errors.append(event.text),
    )
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    # Playwright asks the browser for choosers when first listened for, and does not wait for it.
    opened.on("filechooser", lambda chooser: None)
    opened.errors = errors
    opened.goto(server.url)
    until(opened, "document.querySelectorAll('#model option').length > 1")
    yield opened
    context.close()
    assert not errors
    assert all(url.startswith((server.url, "blob:", "data:")) for url in asked)


def until(page, script):
    """Waits for an expression to be true; Playwright's own way the page's policy forbids."""
    deadline = time.monotonic() + 20
    while not page.evaluate(script):
        assert time.monotonic() < deadline, script
        page.wait_for_timeout(20)


def give(page, image=IMAGE, name="photo.png"):
    encoded = image if isinstance(image, bytes) else file_of(image)
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": encoded})


def rows(page):
    return page.locator("#found tr").all_inner_texts()


def answered(page, count=1):
    until(page, f"document.querySelectorAll('#found tr').length === {count}")


def color_at(page, x, y):
    """The canvas' colour at a pixel of the image."""
    script = """([x, y]) => {
      const ratio = window.devicePixelRatio;
      const place = [view.x + (x + .5) * view.scale, view.y + (y + .5) * view.scale];
      const pen = document.getElementById("canvas").getContext("2d");
      return [...pen.getImageData(place[0] * ratio, place[1] * ratio, 1, 1).data].slice(0, 3);
    }"""
    return page.evaluate(script, [x, y])


def test_boxes_masks_and_scores_of_an_image(page):
    give(page)
    answered(page)

    assert rows(page) == ["Bright one\t75%\t30 × 20"]
    assert "photo.png: 80 × 60" in page.locator("#status").text_content()
    assert "version 1" in page.locator("#status").text_content()
    page.locator("#names").uncheck()
    inside, right_half, outside = ((35, 30), (55, 30), (10, 50))
    assert color_at(page, *outside) == [0, 0, 0]
    assert color_at(page, *right_half) == [255, 255, 255]  # the mask is the left half of the box
    assert color_at(page, *inside) not in ([255, 255, 255], [0, 0, 0])
    page.locator("#masks").uncheck()
    assert color_at(page, *inside) == [255, 255, 255]


def test_threshold_and_classes(page):
    give(page)
    answered(page)

    page.locator("#threshold").fill("80")
    assert rows(page) == [] and page.locator("#count").text_content() == "0 of 1 objects"
    page.locator("#threshold").fill("70")
    assert len(rows(page)) == 1 and page.locator("#least").text_content() == "70%"
    assert page.locator("#classes .number").text_content() == "1"
    page.locator("#classes").get_by_label("Bright one").uncheck()
    assert rows(page) == []
    page.get_by_role("button", name="All").click()
    assert len(rows(page)) == 1
    page.get_by_role("button", name="None").click()
    assert rows(page) == []


def test_zoom_and_movement(page):
    give(page)
    answered(page)
    scale = page.evaluate("view.scale")

    page.get_by_role("button", name="+", exact=True).click()
    assert page.evaluate("view.scale") == pytest.approx(1.25 * scale)
    stage = page.locator("#stage").bounding_box()
    page.mouse.move(stage["x"] + 100, stage["y"] + 100)
    page.mouse.wheel(0, -400)
    until(page, f"view.scale > {2 * scale}")
    before = page.evaluate("view.x")
    page.mouse.down()
    page.mouse.move(stage["x"] + 150, stage["y"] + 100)
    page.mouse.up()
    assert page.evaluate("view.x") == pytest.approx(before + 50, abs=1)
    page.get_by_role("button", name="Fit").click()
    assert page.evaluate("view.scale") == pytest.approx(scale)


def test_keys_alone_suffice(page):
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("o")
    chooser.value.set_files({"name": "x.png", "mimeType": "image/png", "buffer": file_of(IMAGE)})
    answered(page)

    page.locator("#found tr").focus()
    page.keyboard.press("Enter")
    assert page.locator("#found tr").get_attribute("aria-selected") == "true"
    page.keyboard.press("m")
    assert not page.locator("#masks").is_checked()
    page.locator("#threshold").focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert rows(page) == []
    page.locator("#stage").focus()
    x = page.evaluate("view.x")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("view.x") == pytest.approx(x + 60)
    scale = page.evaluate("view.scale")
    page.keyboard.press("+")
    assert page.evaluate("view.scale") > scale
    page.keyboard.press("0")
    assert page.evaluate("view.scale") == pytest.approx(scale)
    reached = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"model", "file", "stage", "threshold", "masks", "all", "in", "fit", "json"} <= reached


def test_downloads(page, tmp_path):
    give(page)
    answered(page)

    with page.expect_download() as download:
        page.keyboard.press("j")
    assert download.value.suggested_filename == "photo.json"
    content = json.loads(download.value.path().read_text())
    assert (content["height"], content["width"]) == (60, 80)
    assert content["detections"][0]["box"] == [20, 30, 40, 60]
    assert content["detections"][0]["mask"]["size"] == [60, 80]
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").click()
    download.value.save_as(tmp_path / "drawn.png")
    drawn = np.asarray(Image.open(tmp_path / "drawn.png").convert("RGB"))
    assert drawn.shape == IMAGE.shape and (drawn != IMAGE).any()
    assert drawn[50, 10].tolist() == [0, 0, 0]


def test_dropping_a_file_and_another_model(page):
    page.locator("#model").select_option("files")
    page.evaluate(
        """async (bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
          window.dispatchEvent(new DragEvent("drop", {dataTransfer: data, cancelable: true}));
        }""",
        list(file_of(IMAGE)),
    )
    answered(page)

    assert page.locator("#status").text_content().startswith("dropped.png")
    page.locator("#model").select_option("one")
    until(page, "document.getElementById('busy').hidden")
    answered(page)


def test_what_is_no_image_and_what_the_server_refuses(page, server):
    give(page, b"text", "<b>notes</b>.txt")
    page.locator("#fault:visible").wait_for()
    assert page.locator("#fault").text_content().startswith("<b>notes</b>.txt is not an image")
    page.route("**/score*", lambda route: route.fulfill(status=503, body='{"error": "full <i>"}'))
    give(page)
    page.get_by_text("full <i>").wait_for()
    assert page.locator("i, b").count() == 0
    page.unroute("**/score*")
    page.errors.clear()  # the browser logs every 503
    give(page)
    answered(page)
    assert not page.locator("#fault").is_visible()


def test_no_sideways_scrolling_on_a_phone(browser, server):
    context = browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True)
    page = context.new_page()
    page.goto(server.url)
    give(page)
    answered(page)

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_only_this_server_may_be_asked(server):
    status, headers, text = ask(server, "GET", "/")

    assert status == 200 and headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"http:" not in text and b"https:" not in text
