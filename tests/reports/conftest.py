"""A headless browser for the tests of pages."""

import shutil

import pytest


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the extra `test` brings playwright"
    )
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no Chromium on PATH")
    with playwright.sync_playwright() as driver:
        # Without its own sandbox, which containers do not give it; the pages are ours.
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser):
    """Opens an address; a test fails if a page reports an error or asks for anything else."""
    contexts, faults, asked, addresses = [], [], [], set()

    def opened(address):
        contexts.append(browser.new_context(viewport={"width": 1200, "height": 900}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        addresses.add(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} <= addresses
