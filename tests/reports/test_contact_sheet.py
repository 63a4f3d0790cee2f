"""The page as a file; what it does stands in `test_page_in_browser.py`."""

import json
import re

from made_page import NASTY, write


def test_the_page_is_one_file_that_asks_for_nothing(tmp_path):
    page = write(tmp_path / "new" / "data.html").read_text(encoding="utf-8")

    assert [path.name for path in (tmp_path / "new").iterdir()] == ["data.html"]
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", page)
    assert "default-src 'none'" in page
    assert "<!--" not in page  # every mark of the template is filled


def test_the_data_cannot_end_the_script(tmp_path):
    page = write(tmp_path / "data.html").read_text(encoding="utf-8")

    assert page.count("</script>") == 2
    held = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)[1]
    cards = json.loads(held)
    assert cards[1]["objects"][1]["name"] == NASTY
    assert cards[1]["objects"][1]["box"] == [10, 10, 40, 50]
    assert cards[3]["picture"] is None and cards[3]["size"] is None


def test_what_is_written_into_the_tables_is_text(tmp_path):
    page = write(tmp_path / "data.html").read_text(encoding="utf-8")

    assert "<title>Data: &lt;some&gt; &amp; such</title>" in page
    assert "<i>odd" not in page.partition('<script id="data"')[0]
