"""Finding and opening the files of a data set that has come a long way from where it was made."""

import json
import os
import re
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from object_detection.datasets.annotations import Finding
from object_detection.datasets.report import NOTED
from object_detection.errors import AnnotationError

IMAGE_SUFFIXES = frozenset(
    (
        ".jpg .jpeg .jpe .jfif .png .bmp .dib .gif .tif .tiff .webp .ppm .pgm .pnm .mpo .avif .jp2"
    ).split()
)
SPLITS = {  # the words in use -> ours
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "dev", "eval", "evaluation"), "val"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
}
LONGEST_NAME = 255  # bytes of a file or folder name that Linux, macOS and Windows take
LONGEST_INTEGER = 4000  # digits; Python refuses to read more than 4,300
# Of a YAML file: characters, entries (an alias counts like its target), and levels.
LARGEST_YAML, MOST_YAML_NODES, DEEPEST_YAML = 1_000_000, 100_000, 50
LEADS_OUT = (
    "the file name leads out of the image folder and is not followed; "
    "--allow_outside_images follows it"
)

_follow_outside = False
_declared_encoding = ""


def declare_encoding(name: str) -> None:
    """Set the encoding of annotation files that are not UTF-8, as the flag `--encoding` says.

    Holds for this process and for every reader; "": there is none, and such files are refused.

    Raises:
        AnnotationError: Python knows no such encoding of texts.
    """
    global _declared_encoding
    if name:
        try:
            "".encode(name)
        except LookupError:
            raise AnnotationError(
                f"--encoding={name}: no such encoding; give one such as cp1252, latin-1, "
                "cp1251, shift_jis or gb18030"
            ) from None
    _declared_encoding = name


def allow_outside_images(allow: bool) -> None:
    """Set whether file names of annotations may lead out of the image folder.

    Holds for this process and for every reader, as the flag `--allow_outside_images` says.
    """
    global _follow_outside
    _follow_outside = allow


def read_text(path):
    """The text of a file in UTF-8 (or, where it begins with their mark, UTF-16).

    A file that is not UTF-8 is read in the encoding that `declare_encoding` was given.

    Raises:
        AnnotationError: it cannot be read; of another encoding the message quotes a line as
            Windows-1252 has it, and says how to save the file.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read: {error.strerror}") from None
    utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        place = error.start
    if _declared_encoding:
        try:
            return content.decode(_declared_encoding)
        except UnicodeDecodeError as error:
            raise AnnotationError(
                f"{path} is neither UTF-8 nor {_declared_encoding} (--encoding): {error.reason}"
            ) from None
    raise AnnotationError(
        f"{path} is not a text file in UTF-8{_like_1252(content, place)}"
    ) from None


def _like_1252(content, place):
    """What to do about a file that is not UTF-8 from a place on."""
    line = content.count(b"\n", 0, place) + 1
    first = content.rfind(b"\n", 0, place) + 1
    quoted = content[max(first, place - 30) : place + 30].splitlines()[0]
    try:
        text = quoted.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    how = "Save it as UTF-8 (in Excel 'CSV UTF-8')"
    if b"\0" in content or not text.strip().isprintable():
        return f": line {line} contains the byte 0x{content[place]:02x}. {how}"
    return (
        f": in Windows-1252 line {line} reads {text.strip()!r}. {how}; or, if that text is right, "
        "convert with --encoding=cp1252"
    )


def exists(path: str | Path) -> bool:
    """Whether there is a file or folder; False too for names that no file can have."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long, or with a null byte
        return False


def load_json(path, object_hook=None):
    """The content of a JSON file; `object_hook` as in `json.loads`.

    Raises:
        AnnotationError: it cannot be read, or is no JSON.
    """
    return parse_json(read_text(path), path, object_hook)


def parse_json(text: str, path: str | Path, object_hook=None):
    """Return the content of the text of a JSON file; `path` is for the message.

    Integers of more digits than Python reads become infinite.

    Raises:
        AnnotationError: the text is no JSON.
    """
    try:
        return _parse_json(text, object_hook)
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"{path} is not whole JSON: line {error.lineno}, column {error.colno}: {error.msg}. "
            "Was it cut off while being copied?"
        ) from None
    except RecursionError:
        raise AnnotationError(f"{path} is JSON nested beyond all measure") from None


def _parse_json(text, object_hook):
    try:
        return json.loads(text, object_hook=object_hook)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of more digits than Python reads: infinite, and so no number
        return json.loads(text, object_hook=object_hook, parse_int=_bounded_int)


def _bounded_int(text):
    return int(text) if len(text) <= LONGEST_INTEGER else float(text)


def load_yaml(path: str | Path) -> dict | list | str | None:
    """Return the content of a YAML file, every scalar as text ("no" and "1" are good class names).

    Returns:
        Dicts, lists and texts as `yaml.BaseLoader` reads them; None for an empty file.

    Raises:
        AnnotationError: it cannot be read, is not YAML, or is larger or deeper than any
            description of a data set (aliases are counted as often as they are used).
    """
    import yaml  # of the formats, only YOLO needs it

    text = read_text(path)
    if len(text) > LARGEST_YAML:
        raise AnnotationError(
            f"{path} has {len(text)} characters; the description of a data set has at most "
            f"{LARGEST_YAML}. List images in a text file, one a line, and name that file"
        )
    # libyaml is much faster, but its recursion cannot be stopped: depth is checked before.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        _check_yaml(yaml, yaml.parse(text, loader), path)
        return yaml.load(text, loader)  # noqa: S506 - makes texts, lists and dicts only
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place, tab = "", ""
        if mark:
            place = f", line {mark.line + 1}, column {mark.column + 1}"
            if "\t" in "".join(text.split("\n")[mark.line : mark.line + 1]):
                tab = ". Indent with spaces: YAML allows no tabs"
        raise AnnotationError(f"{path}{place}: not YAML: {error.problem}{tab}") from None
    except AnnotationError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise AnnotationError(f"{path} is not YAML: {str(error).splitlines()[0][:200]}") from None


def _check_yaml(yaml, events, path):
    """Check depth and size of a YAML file by its events, before anything is built of it."""
    sizes, open_nodes, total = {}, [], 0  # sizes: anchor -> nodes below it
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            is_open = any(anchor == event.anchor for anchor, _ in open_nodes)  # contains itself
            total += MOST_YAML_NODES if is_open else sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.NodeEvent):
            total += 1
            if isinstance(event, yaml.ScalarEvent):
                if event.anchor:
                    sizes[event.anchor] = 1
            else:
                open_nodes.append((event.anchor, total))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            sizes[anchor] = total - before + 1
        if len(open_nodes) > DEEPEST_YAML or total > MOST_YAML_NODES:
            raise AnnotationError(
                f"{path} is no description of a data set: more than {MOST_YAML_NODES} entries, "
                f"or nested deeper than {DEEPEST_YAML} levels, or an alias of itself"
            )


def load_xml(path):
    """The root element of an XML file.

    Raises:
        AnnotationError: it cannot be read, or is no XML.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return parse_xml(content)
    except ValueError as error:
        raise AnnotationError(f"{path} {error}") from None


def parse_xml(content: bytes) -> ElementTree.Element:
    """Return the root element of the bytes of an XML file.

    A file that declares no encoding and is not UTF-8 is read as `declare_encoding` says.

    Raises:
        ValueError: no XML; the message goes after the name of the file.
    """
    content = content.lstrip()  # some writers begin with a blank line, which XML forbids
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        fault = error
    try:
        content.decode()
    except UnicodeDecodeError as error:
        if b"encoding" not in content[:100] and content[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            if not _declared_encoding:
                how = _like_1252(content, error.start)
                raise ValueError(f"declares no encoding and is not UTF-8{how}") from None
            try:
                return ElementTree.fromstring(content.decode(_declared_encoding))
            except (ElementTree.ParseError, ValueError) as second:
                fault = second
    raise ValueError(f"is not whole XML (not well-formed: {fault})")


def walk(folder, suffixes):
    """Files under a folder with one of the suffixes (lower case), sorted by path; none hidden."""
    paths = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not is_hidden(name)]
        paths += [
            Path(place, name)
            for name in names
            if os.path.splitext(name)[1].lower() in suffixes and not is_hidden(name)
        ]
    return sorted(paths)


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or left behind by macOS (`__MACOSX`)."""
    return name.startswith((".", "__MACOSX"))


def annotation_files(place, suffix):
    """The annotation files at a place: the file itself, or all of the suffix in that folder.

    Raises:
        AnnotationError: there is no such place.
    """
    place = Path(place)
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise AnnotationError(f"there is no file or folder {place}")
    return walk(place, {suffix})


def split_of(name: str) -> str | None:
    """Return "train", "val" or "test" for the name of a folder or file; None: it says none.

    "train2017", "Valid", "test-dev" and "my_training_set" say it; "trainval", "train_val" do not.
    """
    words = re.split(r"[^a-z]+", str(name).lower())
    splits = {SPLITS[word] for word in words if word in SPLITS}
    # 'test-dev' and 'val_test' name what is not trained on: the first word decides.
    if len(splits) > 1 and "train" not in splits:
        return next(SPLITS[word] for word in words if word in SPLITS)
    return splits.pop() if len(splits) == 1 else None


def split_folders(folder: str | Path) -> dict[str, list[Path]]:
    """Return the folders in a folder whose names say a split: "train", "val" or "test" -> paths."""
    folders = {}
    for path in sorted(Path(folder).iterdir()) if Path(folder).is_dir() else ():
        split = None if path.name.startswith((".", "__MACOSX")) else split_of(path.name)
        if split and path.is_dir():
            folders.setdefault(split, []).append(path)
    return folders


def relative_name(path, root):
    """The name of a file as records and reports have it: below the root, with forward slashes."""
    try:
        return Path(path).relative_to(root).as_posix()
    except ValueError:
        return Path(path).name


def name_parts(name):
    """Split a file name written on any system, a URL or a Label Studio address into its parts.

    Label Studio's `/data/local-files/?d=folder/a.png` means `folder/a.png`. '..' is left out.
    """
    name = str(name).strip()
    address = re.search(r"\?(?:[^#]*&)?d=([^&#]+)", name)
    if address:
        name = unquote(address[1])
    elif "://" in name:
        try:
            path = unquote(urlsplit(name).path)
        except ValueError:  # brackets that enclose no address
            path = name.partition("://")[2]
        return tuple(part for part in PurePosixPath(path).parts[1:] if part != "..")
    path = PureWindowsPath(name)  # knows / and \ alike
    parts = path.parts[1:] if path.anchor else path.parts
    return tuple(part for part in parts if part not in (".", ".."))


def name_key(name: str) -> str:
    """Return what two spellings of one file name have in common.

    Composed and decomposed letters are equal (NFC), upper and lower case are equal, and `%C3%A9`
    is `é`. Compare the keys of two names where no file has the very name that is stated.
    """
    name = unquote(name) if "%" in name else name
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())


def name_fault(name: object) -> str | None:
    """Return why a value cannot be the name of a file, in words; None where it can be one."""
    if not isinstance(name, str):
        return f"the file name is {shortened(name)}, not a text"
    if not name.strip():
        return "the file name is empty"
    if "\0" in name:
        return "the file name contains a null byte"
    try:
        parts = [part.encode(errors="surrogateescape") for part in re.split(r"[/\\]", name)]
    except UnicodeEncodeError:
        return "the file name contains half a character (a lone surrogate)"
    if max(map(len, parts)) > LONGEST_NAME and "://" not in name:
        return f"the file name has more than {LONGEST_NAME} bytes"
    return None


def shortened(value: object, length: int = 60) -> str:
    """Return a value of an annotation as a message quotes it: its beginning, in one line."""
    if isinstance(value, str):
        value = value[: length + 1]
    elif isinstance(value, int) and value.bit_length() > 4 * length:
        return f"an integer of about {value.bit_length() * 3 // 10} digits"
    try:
        text = ascii(value) if _has_surrogate(str(value)) else repr(value)
    except (ValueError, RecursionError):  # an integer in it of more digits than Python writes
        text = f"a {type(value).__name__}"
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _has_surrogate(text):
    return any("\ud800" <= letter <= "\udfff" for letter in text)


class ImageFolder:
    """The images under a folder, found by names that are only nearly theirs.

    A name that leads out of the folder (`../a.png`, `/etc/a.png`) is not followed, unless
    `allow_outside_images` says so; `findings` reports such names.

    Args:
        root: the folder; it need not exist.
    """

    def __init__(self, root):
        self.root = Path(os.path.normpath(root))
        self._by_name = None  # `name_key` of the file name -> paths
        self._by_stem = None
        self._findings = {}

    def find(self, name, *, beside=None, any_suffix=False):
        """The image that a name means, or None.

        It is looked for as the name says below `beside`, then below the root. Else it is the one
        image under the root with most of the name's last parts, as `name_key` compares them:
        folders of another machine's disk do no harm. Where several fit equally well, none is taken.

        Args:
            name: a path, absolute or relative, of any system, a URL, or a Label Studio address.
            beside: folder to prefer: that of the annotation file.
            any_suffix: take `a.png` for `a.jpg` where no `a.jpg` is.
        """
        name = str(name) if isinstance(name, os.PathLike) else name
        if name == "":
            return None
        fault = name_fault(name)
        if fault:
            self._findings[shortened(name)] = fault
            return None
        parts = name_parts(name)
        if not parts:
            return None
        path = self._as_stated(name.strip(), parts, beside)
        if path:
            return path
        self._index()
        key = name_key(parts[-1])
        path = self._best(self._by_name.get(key, ()), parts, beside)
        if path is None and any_suffix and key not in self._by_name:
            stem = name_key(os.path.splitext(parts[-1])[0])
            path = self._best(self._by_stem.get(stem, ()), parts, beside)
        return path

    def path(self, name, *, beside=None, any_suffix=False):
        """Like `find`, but where nothing is found the path at which the file is missed."""
        image = self.find(name, beside=beside, any_suffix=any_suffix)
        if image:
            return image
        missed = "unusable file name" if name_fault(name) else Path(*name_parts(name))
        return Path(beside or self.root, missed)

    def paths(self):
        """All images, sorted."""
        self._index()
        return sorted(path for paths in self._by_name.values() for path in paths)

    def findings(self) -> list[Finding]:
        """Return a finding for each name that was not followed, and forget them."""
        findings = [Finding(NOTED, reason, key) for key, reason in self._findings.items()]
        self._findings = {}
        return findings

    def _as_stated(self, stated, parts, beside):
        """The file that lies exactly where the name says, or None."""
        for folder in filter(None, (beside, self.root)):
            # Unchanged first: in '../images/a.jpg' the dots matter.
            for name in dict.fromkeys((stated, stated.replace("\\", "/"), "/".join(parts))):
                path = os.path.normpath(os.path.join(folder, name))
                if not os.path.isfile(path):
                    continue
                path = Path(path)
                if _follow_outside or is_inside(path, self.root, beside):
                    return path
                self._findings[stated] = LEADS_OUT
        return None

    def _index(self):
        if self._by_name is not None:
            return
        self._by_name, self._by_stem = {}, {}
        for path in walk(self.root, IMAGE_SUFFIXES):
            self._by_name.setdefault(name_key(path.name), []).append(path)
            self._by_stem.setdefault(name_key(path.stem), []).append(path)

    def _best(self, paths, parts, beside):
        """The one path that shares most of its last folders with the name, or None."""
        stated = [name_key(part) for part in reversed(parts[:-1])]

        def shared(path):
            folders = [name_key(part) for part in reversed(path.relative_to(self.root).parts[:-1])]
            count = 0
            while count < min(len(stated), len(folders)) and stated[count] == folders[count]:
                count += 1
            near = beside is not None and path.parent == Path(beside)
            return count, near, path.parent == self.root

        ranked = sorted(((shared(path), path) for path in paths), reverse=True)
        if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
            return None
        return ranked[0][1]


def is_file(path: str | Path) -> bool:
    """Whether there is a file; False too for names that no file can have."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # too long, a null byte, a folder that may not be read
        return False


def is_inside(path: Path, *folders: Path | str | None) -> bool:
    """Return whether a path lies below one of the folders, by its name; links may lead anywhere."""
    path = Path(os.path.abspath(path))
    return any(path.is_relative_to(os.path.abspath(folder)) for folder in folders if folder)
