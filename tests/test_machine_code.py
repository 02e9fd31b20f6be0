"""Properties of the machine code of each build: instruction sets, vectorization, registers."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import fastnn_ext

FOLDER = Path(fastnn_ext.__file__).parent
BUILDS = sorted(FOLDER.glob("engine_v*.so"))
PLAIN = sorted({*FOLDER.glob("*.so")} - {*BUILDS})  # compiled for any x86-64
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")

pytestmark = [
    pytest.mark.optimized,
    pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump"),
    pytest.mark.skipif(not BUILDS, reason="needs builds for x86-64"),
]


def module_name(path):
    return path.name.split(".")[0]


def disassemble(path):
    """[(address, operation, operands), ...]"""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(path)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [(int(m[1], 16), m[2], m[3]) for m in map(LINE.match, text.splitlines()) if m]


@pytest.fixture(scope="module", params=BUILDS, ids=module_name)
def build(request):
    """(level, disassembled code)"""
    code = disassemble(request.param)
    assert len(code) > 10_000
    return module_name(request.param).removeprefix("engine_"), code


def find_v3_instructions(code):
    """AVX and BMI instructions, which processors below x86-64-v3 do not have."""
    bmi = "andn|bextr|blsi|blsmsk|blsr|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx"
    return [line for line in code if re.fullmatch(rf"v\w+|({bmi})[lq]?", line[1])]


def find_v4_instructions(code):
    """AVX-512 instructions, which use registers zmm, k, and the upper half of xmm and ymm."""
    return [line for line in code if re.search(r"%(zmm|k\d|[xy]mm(1[6-9]|2\d|3[01]))", line[2])]


def test_no_engine_exceeds_its_instruction_set(build):
    """This machine may run all levels, so other tests would not notice a wrong compiler flag."""
    level, code = build
    assert bool(find_v3_instructions(code)) == (level != "v2")
    assert bool(find_v4_instructions(code)) == (level == "v4")


@pytest.mark.parametrize("path", PLAIN, ids=module_name)
def test_other_modules_run_everywhere(path):
    """They are imported before the level of the processor is detected."""
    code = disassemble(path)
    assert len(code) > 1000
    assert not find_v3_instructions(code)


def find_loops(code):
    """Bodies of innermost loops: from the target of a backward jump to the jump."""
    index = {address: i for i, (address, _, _) in enumerate(code)}
    for i, (_, operation, operands) in enumerate(code):
        if not operation.startswith("j"):
            continue
        target = re.match(r"([0-9a-f]+)", operands)
        first = index.get(int(target[1], 16)) if target else None
        if first is None or not 0 < i - first < 200:
            continue
        body = code[first : i + 1]
        if not any(op.startswith(("call", "ret")) for _, op, _ in body) and not any(
            op.startswith("j") for _, op, _ in body[:-1]
        ):
            yield body


def test_no_formula_is_computed_in_double_by_accident(build):
    """A bare 1 in a float formula becomes 1.0, and vectors are converted to double and back."""
    _, code = build
    assert not [one for one in code if re.fullmatch(r"v?cvtps2pd", one[1]) and "mm" in one[2]]


# The functions of fastnn_ext that contain loops over formulas; all others there are formulas.
LOOPS = {
    "activations": {"activate", "scale_by_derivative", "scale_by_second_derivative", "softmax"},
    "losses": {"compute_elementwise_loss", "compute_row_loss"},
    "real": set(),
    "random": {"shuffle"},
}


@pytest.mark.parametrize("path", BUILDS, ids=module_name)
def test_every_formula_is_inlined(path):
    """A loop that calls its formula is not vectorized: gelu then took three times as long."""
    symbols = subprocess.run(
        ["nm", str(path)], check=True, capture_output=True, text=True
    ).stdout  # fmt: skip
    if "activations_activate" not in symbols:
        pytest.skip("the build has no symbols")
    for module, loops in LOOPS.items():
        found = re.findall(rf"fastnn_ext_\d+{module}_(\w+)", symbols)
        assert {*found} <= loops, module
    assert not re.search(r" fn_(exp|expm1|log|log1p|tanh|erf|sqrt|fma)f?$", symbols, re.M)


@pytest.mark.parametrize(
    ("level", "register", "per_iteration"), [("v4", "zmm", 24), ("v3", "ymm", 12)]
)
def test_tiles_stay_in_registers(build, level, register, per_iteration):
    """The innermost loop of the GEMM makes one fused multiply-add per accumulator of the tile, in
    whole vectors, and does not access the stack."""
    build_level, code = build
    if build_level != level:
        pytest.skip(f"a check of {level}")
    for suffix in ("ps", "pd"):
        bodies = [[line for line in body if register in line[2]] for body in find_loops(code)]
        tiles = [
            vectors for vectors in bodies
            if sum(line[1].startswith("vfmadd") for line in vectors) == per_iteration
            and all(re.match(rf"vfmadd\d+{suffix}|vmov|vbroadcast", line[1]) for line in vectors)
        ]  # fmt: skip
        assert tiles, f"no loop of {per_iteration} {register} multiply-adds in {suffix}"
        for vectors in tiles:
            assert not [line for line in vectors if re.search(r"%r[sb]p", line[2])]
