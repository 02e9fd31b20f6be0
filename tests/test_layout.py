"""The layout of the repository: the direction of imports, the names that code, stubs and documents
share, the recipes of CONTRIBUTING.md, and the examples in documents."""

import ast
import doctest
import importlib
import importlib.resources
import importlib.util
import pkgutil
import re
import warnings
from pathlib import Path

import pytest

import fastnn
import fastnn.reference
import fastnn_ext
from fastnn import activations, losses, optimizers, schedules
from fastnn_ext import codes

ROOT = Path(__file__).parents[1]
HAS_SKLEARN = importlib.util.find_spec("sklearn") is not None
HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
MODULES = sorted(
    name for _, name, _ in pkgutil.walk_packages(fastnn.__path__, "fastnn.")
    if name != "fastnn.__main__" and (HAS_SKLEARN or not name.startswith("fastnn.estimators"))
)  # fmt: skip
PAGES = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]

# Folders and modules from the bottom up. A module imports from its own folder and from folders and
# modules in earlier lines.
ROOMS = [
    ["_util"],
    ["activations", "schedules", "initializers", "losses", "optimizers", "layers"],
    ["_report"],
    ["history", "datasets", "callbacks", "statistics"],
    ["preprocessing"],
    ["metrics"],
    ["_parallel"],
    ["_engine"],
    ["reference"],
    ["_training"],
    ["_io"],
    ["model", "config"],
    ["experiments", "tracing"],
    ["plot"],
    ["estimators"],
    ["playground"],
    ["cli", "__main__"],
]
RANK = {room: i for i, rooms in enumerate(ROOMS) for room in rooms}
PATHS = {
    name.removesuffix(".__init__"): path
    for path in sorted((ROOT / "fastnn").rglob("*.py"))
    for name in [".".join(path.relative_to(ROOT).with_suffix("").parts)]
}


def find_imports(name):
    """Yield the modules of fastnn that a module imports: at its top, in functions, or for type
    checking only."""
    for node in ast.walk(ast.parse(PATHS[name].read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fastnn":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in PATHS else node.module


@pytest.mark.parametrize("name", sorted(PATHS.keys() - {"fastnn"}))
def test_imports_never_climb(name):
    room = name.split(".")[1]
    assert room in RANK, f"{room} is missing in ROOMS"
    for imported in find_imports(name):
        other = imported.split(".")[1]
        assert RANK[other] < RANK[room] or other == room or room in ROOMS[RANK[other]], imported


def test_there_is_no_import_cycle():
    """No module imports itself, directly or through others."""
    waiting = {name: set(find_imports(name)) - {name} for name in PATHS}
    while waiting:
        free = {name for name, imported in waiting.items() if not imported & waiting.keys()}
        assert free, f"these modules are in a cycle or import one that is: {sorted(waiting)}"
        waiting = {name: imported for name, imported in waiting.items() if name not in free}


def find_names(tree):
    """Yield the names that a module defines: functions, classes, attributes and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign | ast.Assign | ast.For):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in (part for one in targets for part in ast.walk(one)):
                if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                    yield target.attr
                elif isinstance(target, ast.Name):
                    yield target.id


def test_no_room_reads_the_private_attributes_of_another():
    """An underscore attribute that no room defines belongs to another library."""
    trees = {name: ast.parse(path.read_text()) for name, path in PATHS.items()}
    rooms = {name: name.split(".")[1:2] for name in trees}
    defined = {}
    for name, tree in trees.items():
        for private in filter(re.compile(r"_[^_]").match, find_names(tree)):
            defined.setdefault(private, []).append(rooms[name])
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in defined:
                assert rooms[name] in defined[node.attr], (name, ast.unparse(node))


def test_the_kernels_never_import_the_api():
    for path in Path(fastnn_ext.__file__).parent.glob("*.p*"):
        if path.suffix in (".py", ".pyx", ".pxd", ".pyi"):
            assert not re.search(r"^\s*(from|import|cimport) fastnn\b", path.read_text(), re.M), (
                path
            )


def test_the_reference_never_imports_the_kernels():
    for path in Path(fastnn.reference.__file__).parent.glob("*.py"):
        assert not re.search(r"^\s*(from|import) fastnn_ext", path.read_text(), re.M), path


# ---- one list of names ---------------------------------------------------------------------------


def list_names(enum):
    return [member.name.lower() for member in enum]


def test_every_enum_member_has_its_description():
    assert list(activations.NAMES) == list_names(codes.Activation)
    assert set(losses.CLASSES) == set(list_names(codes.Loss)) == set(losses.HEADS)
    assert set(optimizers.CLASSES) == set(list_names(codes.Optimizer))


def test_stub_of_enums_equals_the_compiled_enums():
    stub = ast.parse((Path(fastnn_ext.__file__).parent / "codes.pyi").read_text())
    for enum in (node for node in stub.body if isinstance(node, ast.ClassDef)):
        written = {
            item.targets[0].id: item.value.value for item in enum.body
            if isinstance(item, ast.Assign)
        }  # fmt: skip
        assert written == {m.name: m.value for m in getattr(codes, enum.name)}


@pytest.mark.parametrize("enum", [codes.Activation, codes.Loss, codes.Optimizer])
def test_readme_names_every_member(enum):
    text = (ROOT / "README.md").read_text()
    for name in list_names(enum):
        shown = next((k.__name__ for n, k in optimizers.CLASSES.items() if n == name), name)
        assert f"`{name}`" in text or f"`{shown}`" in text, name


def test_readme_names_every_schedule():
    text = (ROOT / "README.md").read_text()
    for kind in schedules.CLASSES:
        assert f"`{kind.__name__}`" in text


# ---- the recipes of CONTRIBUTING.md --------------------------------------------------------------


# Code that uses the member of a recipe as any user could, and does not define it.
USERS_OF_THE_LAYER = {
    "fastnn/cli.py", "fastnn/estimators/_fitting/architecture.py",
    "fastnn/playground/recipe.py",
}  # fmt: skip
USERS_OF_THE_SOLVER = {
    "fastnn/estimators/logistic.py", "fastnn/optimizers.py", "fastnn/_training/full_batch.py",
    "fastnn/_util/checks/__init__.py",
}  # fmt: skip


def read_listed_files(heading):
    """The files that a recipe of CONTRIBUTING.md lists."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = re.search(rf"^### {heading}$(.*?)(?=^###? )", text, re.M | re.S)
    assert section, heading
    return set(re.findall(r"^\d+\. `([^`]+)`", section.group(1), re.M))


def find_files(pattern, read=Path.read_text):
    """The source files, and README.md, whose text matches a regular expression."""
    folders = [ROOT / "fastnn", ROOT / "fastnn_ext"]
    paths = [ROOT / "README.md", *(path for folder in folders for path in folder.rglob("*"))]
    return {
        str(path.relative_to(ROOT)) for path in paths
        if path.suffix in (".py", ".pyx", ".pxd", ".pyi", ".md", ".h")
        and re.search(pattern, read(path))
    }  # fmt: skip


def read_strings(path):
    """The string literals of a Python module, one a line, without docstrings and other long
    texts."""
    if path.suffix != ".py":
        return ""
    constants = (
        n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)
    )
    return "\n".join(value for value in constants if isinstance(value, str) and "\n" not in value)


@pytest.mark.parametrize(
    ("heading", "member"),
    [("An activation", "softsign"), ("A loss", "log_cosh"), ("An optimizer", "rmsprop")],
)
def test_touch_list_is_true(heading, member):
    """A recipe lists exactly the files that name an existing member."""
    pattern = rf"(?i)\b_?{member}(_slope|_derivative|_gate)?\b"
    assert find_files(pattern) == read_listed_files(heading)


def test_touch_list_of_a_layer_is_true():
    assert find_files(r"\b(Dropout|DROPOUT)\b") - USERS_OF_THE_LAYER == read_listed_files("A layer")


def test_touch_list_of_a_schedule_is_true():
    assert find_files(r"\b(StepDecay|step_decay)\b") == read_listed_files("A schedule")


def test_touch_list_of_a_solver_is_true():
    files = find_files(r"(?m)^lbfgs$", read_strings)
    files |= find_files(r"\b(FULL_BATCH_SOLVERS|minimize_squares)\b")
    assert files - USERS_OF_THE_SOLVER == read_listed_files("A solver of the estimators")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "SECURITY.md", *PAGES])
def test_paths_in_documents_exist(document):
    text = (ROOT / document).read_text()
    pattern = r"`((?:fastnn|fastnn_ext|tests|tools|docs|benchmarks|\.ci)/[\w./-]*)`"
    for path in re.findall(pattern, text):
        assert (ROOT / path).exists(), path


# ---- documents -----------------------------------------------------------------------------------


@pytest.fixture
def figures(request):
    """Closes the figures that examples open, which are drawn without a screen."""
    if HAS_MATPLOTLIB:
        request.getfixturevalue("pyplot")


@pytest.mark.parametrize("name", ["fastnn", *MODULES])
@pytest.mark.usefixtures("figures")
def test_docstring_examples(name):
    if name.startswith("fastnn.plot"):
        pytest.importorskip("matplotlib")
    if name == "fastnn.playground.server":
        pytest.importorskip("starlette")
        pytest.importorskip("uvicorn")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *PAGES])
@pytest.mark.usefixtures("figures")
def test_examples_in_documents(document):
    """The Python examples of a document, run in order, print what the document shows."""
    if document == "docs/pictures.md":
        pytest.importorskip("matplotlib")
    if document in PAGES:
        pytest.importorskip("sklearn")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.S)
    needs_sklearn = [not HAS_SKLEARN and "import MLPClassifier" in block for block in blocks]
    examples = [
        block for block, left_out in zip(blocks, needs_sklearn, strict=True)
        if ">>>" in block and not left_out
    ]  # fmt: skip
    runner = doctest.DocTestRunner()
    test = doctest.DocTestParser().get_doctest("\n".join(examples), {}, document, None, 0)
    with warnings.catch_warnings():
        assert runner.run(test).failed == 0


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_links_in_documents(document):
    page = ROOT / document
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", fastnn.__all__)
def test_public_names_have_docstrings(name):
    thing = getattr(fastnn, name)
    if callable(thing):
        assert thing.__doc__


def test_version_is_in_the_changelog():
    declared = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert f"## {declared.group(1)}" in (ROOT / "CHANGELOG.md").read_text()


def test_nothing_tells_users_to_install_another_project():
    """On the package index, the name fastnn belongs to another project. pyproject.toml may refer to
    itself: pip resolves that to the project being installed."""
    folders = ("docs", "fastnn", "fastnn_ext", "examples", "benchmarks", "tools", "tests")
    texts = [*ROOT.glob("*.md"), ROOT / "Makefile"] + [
        path for folder in folders for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".txt", ".pyx", ".pxd")
    ]  # fmt: skip
    for path in texts:
        text = path.read_text(encoding="utf-8", errors="replace")
        match = re.search(r"fastnn\[|pip3? install [^|;&\n]*['\" ]fastnn\b", text)
        assert match is None, (path, match)
