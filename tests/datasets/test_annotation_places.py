"""Files of a data set under names that are only nearly theirs."""

import pytest

from object_detection.datasets import files
from object_detection.errors import AnnotationError


def _touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.jpg", ("a.jpg",)),
        ("..\\images\\a.jpg", ("images", "a.jpg")),
        ("C:\\Users\\me\\a.jpg", ("Users", "me", "a.jpg")),
        ("/mnt/disk/a.jpg", ("mnt", "disk", "a.jpg")),
        ("https://here.org/photos/a%20b.jpg?size=2", ("photos", "a b.jpg")),
        ("", ()),
    ],
)
def test_names_of_any_system(name, parts):
    assert files.name_parts(name) == parts


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one/a.jpg", "one/a.jpg"),
        ("one\\a.jpg", "one/a.jpg"),
        ("D:\\set\\TWO\\A.JPG", "two/a.jpg"),  # most of the last parts
        ("/elsewhere/b.jpg", "two/B.jpg"),
        ("a.jpg", None),  # two fit
        ("c.jpg", None),
    ],
)
def test_an_image_is_the_one_with_most_of_the_last_parts(tmp_path, name, expected):
    _touch(tmp_path, "one/a.jpg", "two/a.jpg", "two/B.jpg", ".hidden/c.jpg", "c.txt")
    expected = expected and tmp_path / expected

    assert files.ImageFolder(tmp_path).find(name) == expected


def test_the_folder_of_the_annotation_comes_first(tmp_path):
    _touch(tmp_path, "one/a.jpg", "two/a.jpg", "images/d.jpg")
    folder = files.ImageFolder(tmp_path)

    assert folder.find("a.jpg", beside=tmp_path / "two") == tmp_path / "two/a.jpg"
    assert folder.find("A.JPG", beside=tmp_path / "two") == tmp_path / "two/a.jpg"
    assert folder.find("..\\images\\d.jpg", beside=tmp_path / "one") == tmp_path / "images/d.jpg"


def test_where_several_fit_the_one_in_the_root_is_taken(tmp_path):
    _touch(tmp_path, "A.jpg", "one/a.jpg", "two/a.jpg")

    assert files.ImageFolder(tmp_path).find("elsewhere/a.jpg") == tmp_path / "A.jpg"


def test_another_suffix_is_taken_only_on_demand_and_if_it_is_alone(tmp_path):
    _touch(tmp_path, "a.png", "one/b.png", "two/b.jpeg")
    folder = files.ImageFolder(tmp_path)

    assert folder.find("a.jpg") is None
    assert folder.find("a.jpg", any_suffix=True) == tmp_path / "a.png"
    assert folder.find("b.jpg", any_suffix=True) is None


def test_what_is_not_found_has_the_path_at_which_it_is_missed(tmp_path):
    assert files.ImageFolder(tmp_path).path("C:\\x\\a.jpg") == tmp_path / "x" / "a.jpg"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_of_any_unicode(tmp_path, encoding):
    (tmp_path / "a.json").write_text('{"klasse": "Bär"}', encoding=encoding)

    assert files.load_json(tmp_path / "a.json") == {"klasse": "Bär"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"a": [1,', "line 1, column 10.*cut off"),
        (b'"\xe4"', "UTF-8"),
        (b"[" * 100_000, "nested|not whole"),
    ],
)
def test_json_that_is_none_is_an_error_that_says_where(tmp_path, content, why):
    (tmp_path / "a.json").write_bytes(content)

    with pytest.raises(AnnotationError, match=why):
        files.load_json(tmp_path / "a.json")


def test_annotation_files_are_one_or_all_of_a_folder(tmp_path):
    _touch(tmp_path, "b/1.XML", "a.xml", "c.txt", "__MACOSX/a.xml")

    assert files.annotation_files(tmp_path / "c.txt", ".xml") == [tmp_path / "c.txt"]
    assert files.annotation_files(tmp_path, ".xml") == [tmp_path / "a.xml", tmp_path / "b/1.XML"]
    with pytest.raises(AnnotationError, match="nowhere"):
        files.annotation_files(tmp_path / "nowhere", ".xml")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("/data/local-files/?d=kc01/p1.png", ("kc01", "p1.png")),
        ("/data/local-files/?d=kc01%5Cp1.png", ("kc01", "p1.png")),
        ("http://localhost:8080/data/local-files/?x=1&d=kc01/%C3%A9.png", ("kc01", "é.png")),
        ("/data/local-files/?d=\\images\\p1.png", ("images", "p1.png")),
        ("http://[a/b.png", ("b.png",)),
        ("http://here.org/../../b.png", ("b.png",)),
    ],
)
def test_addresses_of_label_studio_and_broken_urls(name, parts):
    assert files.name_parts(name) == parts


@pytest.mark.parametrize(
    ("on_disk", "stated"),
    [
        ("Mo\u0308lln.png", "M\u00f6lln.png"),  # decomposed on the disk, composed in the file
        ("M\u00f6lln.png", "Mo\u0308lln.png"),
        ("d\u00e9cran.png", "d%C3%A9cran.png"),
        ("d%C3%A9cran.png", "d\u00e9cran.png"),
        ("M\u00d6LLN.png", "mo\u0308lln.PNG"),
    ],
)
def test_other_spellings_of_one_name_are_found(tmp_path, on_disk, stated):
    _touch(tmp_path, on_disk)

    assert files.ImageFolder(tmp_path).find(stated) == tmp_path / on_disk


def test_two_files_that_look_alike_are_distinguished_by_their_very_names(tmp_path):
    names = ["Mo\u0308lln.png", "M\u00f6lln.png"]
    _touch(tmp_path, *names)
    folder = files.ImageFolder(tmp_path)

    assert [folder.find(name) for name in names] == [tmp_path / name for name in names]
    assert folder.find("MO\u0308LLN.png") is None  # either may be meant


@pytest.mark.parametrize("name", ["../secret.png", "{root}/secret.png", "sub/../../secret.png"])
def test_a_name_that_leads_out_of_the_folder_is_followed_only_on_request(
    tmp_path, name, monkeypatch
):
    _touch(tmp_path, "secret.png", "set/sub/a.png")
    folder = files.ImageFolder(tmp_path / "set")
    name = name.format(root=tmp_path)

    assert folder.find(name) is None
    (finding,) = folder.findings()
    assert finding.key == name
    assert "leads out of the image folder" in finding.reason
    assert "--allow_outside_images" in finding.reason
    assert folder.findings() == []
    assert folder.find("../set/sub/a.png") == tmp_path / "set/sub/a.png"  # leads back in
    assert folder.find(str(tmp_path / "set/sub/a.png")) == tmp_path / "set/sub/a.png"

    monkeypatch.setattr(files, "_follow_outside", True)
    assert folder.find(name) == tmp_path / "secret.png"
    assert folder.findings() == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (5, "is 5, not a text"),
        (None, "is None, not a text"),
        (["a.png"], "not a text"),
        ("a\0.png", "null byte"),
        ("\ud800.png", "half a character"),
        ("a" * 300 + ".png", "more than 255 bytes"),
        ("é" * 200 + ".png", "more than 255 bytes"),
        ([10**5000], "a list"),
    ],
)
def test_names_that_no_file_can_have_are_findings(tmp_path, name, why):
    folder = files.ImageFolder(tmp_path)

    assert folder.path(name).parent == tmp_path
    assert not files.is_file(folder.path(name))
    (finding,) = folder.findings()
    assert why in finding.reason
    finding.reason.encode(), finding.key.encode()


def test_an_integer_of_more_digits_than_python_reads_costs_its_entry_alone(tmp_path):
    (tmp_path / "a.json").write_text('{"year": %s, "b": 7}' % ("9" * 5000))

    assert files.load_json(tmp_path / "a.json") == {"year": float("inf"), "b": 7}


def test_xml_in_another_encoding_than_it_declares(tmp_path):
    path = tmp_path / "a.xml"
    path.write_bytes('<?xml version="1.0" encoding="cp1252"?><a>K\xe4fer</a>'.encode("cp1252"))
    assert files.load_xml(path).text == "K\xe4fer"  # as it declares

    path.write_bytes("\n<?xml version='1.0'?>\n<a>K\xe4fer</a>".encode("cp1252"))
    with pytest.raises(AnnotationError, match="declares no encoding.*K\xe4fer.*--encoding=cp1252"):
        files.load_xml(path)
    files.declare_encoding("cp1252")
    try:
        assert files.load_xml(path).text == "K\xe4fer"
        path.write_bytes("<a>K\xe4fer".encode("cp1252"))
        with pytest.raises(AnnotationError, match="not whole XML"):
            files.load_xml(path)
    finally:
        files.declare_encoding("")
