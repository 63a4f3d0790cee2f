"""Files, functions and argument lists stay small; where one does not, the reason stands here."""

import ast

from source_tree import PACKAGE, ROOT, imports_of_package, parsed, sources

FOLDERS = ("object_detection", "dataset_tools", "scripts", "samples", "benchmarks", "tests")
FILE_LINES, FUNCTION_LINES, PARAMETERS = 600, 60, 8
# What may be larger, and why: "file" for its length, "file:function" for a function of it.
EXCEPTIONS = {
    "object_detection/utils/visualization_utils.py": "TFOD's signatures, whose names users pass",
    "object_detection/model_lib_v2.py": "TFOD's signatures, whose names users pass",
    "object_detection/ops/nms.py:multiclass_nms": "a keyword for each field of post-processing",
    "object_detection/modeling/conv_block.py:__init__": "a keyword for each part of the unit",
    "object_detection/prediction/predictor.py:__init__": "a keyword for each thing users set",
}

# A module of fewer lines that only a module of its own folder imports is merged into that one.
SMALL_LINES = 80
SMALL = {
    "builders/": "TFOD's import paths, one module for each message of the config",
    "integrations/azoda/polygons.py": "imported by users, by the name in the documentation",
    "data/native_resize.py": "the interface of one C file",
    "export/fresh_run.py": "a program of its own, which must not import Keras",
}


def _code_lines(node):
    """Lines of a function less those of its docstring."""
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is None:
        return lines
    docstring = node.body[0]
    return lines - (docstring.end_lineno - docstring.lineno + 1)


def _parameters(node):
    arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
    return [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]


def _functions(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _too_large():
    """(place, what is too large) of every file and function over a limit."""
    for path in sources(*FOLDERS):
        place = path.relative_to(ROOT).as_posix()
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > FILE_LINES:
            yield place, f"{lines} lines"
        for node in _functions(path):
            if _code_lines(node) > FUNCTION_LINES:
                yield f"{place}:{node.name}", f"{_code_lines(node)} lines"
            if len(_parameters(node)) > PARAMETERS:
                yield f"{place}:{node.name}", f"{len(_parameters(node))} arguments"


def test_files_functions_and_argument_lists_are_small():
    faults = [
        f"{place}: {what}"
        for place, what in _too_large()
        if not EXCEPTIONS.keys() & {place, place.partition(":")[0]}
    ]
    assert not faults, "\n".join(faults)


def test_no_exception_is_left_over():
    places = {place for place, _ in _too_large()}
    needed = places | {place.partition(":")[0] for place in places}
    assert EXCEPTIONS.keys() <= needed


def test_the_docstring_does_not_count():
    node = ast.parse(
        'def f(self, a, *, b):\n    """One.\n\n    Two.\n    """\n    return a\n'
    ).body[0]

    assert _code_lines(node) == 2
    assert _parameters(node) == ["a", "b"]


def _importers():
    """{module path below the package: paths of the modules that import it}."""
    modules = {
        path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path
        for path in sources("object_detection")
    }
    importers = {path: set() for path in modules.values()}
    for path in modules.values():
        for name in imports_of_package(path):
            module = name if name in modules else name.rpartition(".")[0]
            if module in modules:
                importers[modules[module]].add(path)
    return importers


def test_small_modules_have_more_than_one_importer():
    faults = []
    for path, users in _importers().items():
        place = path.relative_to(PACKAGE).as_posix()
        lines = path.read_text(encoding="utf-8").count("\n")
        if path.name != "__init__.py" and lines < SMALL_LINES and len(users) == 1:
            (user,) = users
            if user.parent == path.parent != PACKAGE and not place.startswith(tuple(SMALL)):
                faults.append(f"{place}: {lines} lines, imported by {user.name} only")
    assert not faults, "\n".join(faults)
