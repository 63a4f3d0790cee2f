"""Pages opened in a headless browser."""

import pytest


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
