"""What the repository promises of itself: the direction of imports, one list of names that code,
stubs and documents share, and the touch list of CONTRIBUTING.md."""

import ast
import doctest
import importlib
import importlib.resources
import importlib.util
import inspect
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
MODULES = sorted(
    name for _, name, _ in pkgutil.walk_packages(fastnn.__path__, "fastnn.")
    if name != "fastnn.__main__" and (HAS_SKLEARN or not name.startswith("fastnn.estimators"))
)  # fmt: skip
PAGES = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]

# Lower lines may import upper ones. What stands on one line is independent of its neighbours.
LAYERS = [
    {"atomic", "autotune", "checks", "columns", "container", "exclusive"},
    {"figures", "random", "scaling"},
    {"activations", "schedules", "datasets", "history", "progress", "statistics", "table"},
    {"initializers", "optimizers", "losses"},
    {"layers", "data"},
    {"preprocessing"},
    {"classes", "metrics"},
    {"fold"},
    {"plan", "description", "job", "threads", "scoring"},
    {"plain", "reference", "native", "snapshot", "callbacks"},
    {"training", "config", "weights", "workers", "files", "folding"},
    {"fit"},
    {"model"},
    {"ensemble"},
    {"runs"},
    {"many", "rangetest"},
    {"cli", "estimators"},
]


def imports_of(name):
    """Names of fastnn's modules that a module imports at run time."""
    tree = ast.parse(inspect.getsource(importlib.import_module(name)))
    guarded = {
        node for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.unparse(test.test)
        for node in ast.walk(test)
    }  # fmt: skip
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node in guarded or not node.module:
            continue
        if node.module == "fastnn":
            yield from (alias.name for alias in node.names)
        elif node.module.startswith("fastnn."):
            yield node.module.split(".")[1]


@pytest.mark.parametrize("name", MODULES)
def test_direction_of_imports(name):
    rank = {module: i for i, line in enumerate(LAYERS) for module in line}
    own = name.split(".")[1]
    assert own in rank, f"{own} has no place in LAYERS"
    for imported in imports_of(name):
        if imported != own:
            assert rank[imported] < rank[own], f"{own} imports {imported}"


def test_the_kernels_never_import_the_api():
    for path in Path(fastnn_ext.__file__).parent.glob("*.p*"):
        if path.suffix in (".py", ".pyx", ".pxd", ".pyi"):
            assert not re.search(r"^\s*(from|import|cimport) fastnn\b", path.read_text(), re.M), (
                path
            )


def test_the_reference_never_imports_the_kernels():
    for path in Path(fastnn.reference.__file__).parent.glob("*.py"):
        assert not re.search(r"^\s*(from|import) fastnn_ext", path.read_text(), re.M), path


# ---- one list ----------------------------------------------------------------------------------


def names(enum):
    return [member.name.lower() for member in enum]


def test_every_enum_member_has_its_description():
    assert list(activations.NAMES) == names(codes.Activation)
    assert set(losses.CLASSES) == set(names(codes.Loss)) == set(losses.HEADS)
    assert set(optimizers.CLASSES) == set(names(codes.Optimizer))


def test_stub_of_enums_is_true():
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
    for name in names(enum):
        shown = next((k.__name__ for n, k in optimizers.CLASSES.items() if n == name), name)
        assert f"`{name}`" in text or f"`{shown}`" in text, name


def test_readme_names_every_schedule():
    text = (ROOT / "README.md").read_text()
    for kind in schedules.CLASSES:
        assert f"`{kind.__name__}`" in text


# ---- the touch list ----------------------------------------------------------------------------


def places(heading):
    """The files that a section of CONTRIBUTING.md says an addition touches."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = re.search(rf"^### {heading}$(.*?)(?=^###? )", text, re.M | re.S)
    assert section, heading
    return set(re.findall(r"^\d+\. `([^`]+)`", section.group(1), re.M))


@pytest.mark.parametrize(
    ("heading", "member"),
    [("An activation", "softsign"), ("A loss", "log_cosh"), ("An optimizer", "rmsprop")],
)
def test_touch_list_is_true(heading, member):
    """The files that know a member by name are those that CONTRIBUTING.md lists, no more and no
    fewer."""
    folders = [ROOT / "fastnn", ROOT / "fastnn_ext", ROOT / "README.md"]
    files = [p for folder in folders for p in ([folder] if folder.is_file() else folder.rglob("*"))]
    found = {
        str(path.relative_to(ROOT)) for path in files
        if path.suffix in (".py", ".pyx", ".pxd", ".pyi", ".md", ".h")
        and re.search(rf"\b_?{member}(_slope|_gate)?\b", path.read_text(), re.I)
    }  # fmt: skip
    assert found == places(heading)


# ---- documents ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fastnn", *MODULES])
def test_docstring_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_examples_in_documents(document):
    """Each document's Python examples run one after another and print what they say."""
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
    """The name fastnn belongs to another project on the package index. pyproject.toml may refer to
    itself, which pip resolves to the project that it installs."""
    folders = ("docs", "fastnn", "fastnn_ext", "examples", "benchmarks", "tools", "tests")
    texts = [*ROOT.glob("*.md"), ROOT / "Makefile"] + [
        path for folder in folders for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".txt", ".pyx", ".pxd")
    ]  # fmt: skip
    for path in texts:
        text = path.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"fastnn\[|pip3? install [^|;&\n]*['\" ]fastnn\b", text)
        assert found is None, (path, found)
