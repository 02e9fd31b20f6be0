"""What the compiler made of the kernels, read from the machine code of each build."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import fastnn_ext

FOLDER = Path(fastnn_ext.__file__).parent
BUILDS = sorted(FOLDER.glob("engine_v*.so"))
PLAIN = sorted({*FOLDER.glob("*.so")} - {*BUILDS})  # for every x86-64
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")

pytestmark = [
    pytest.mark.optimized,
    pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump"),
    pytest.mark.skipif(not BUILDS, reason="no x86-64 builds here"),
]


def module_name(path):
    return path.name.split(".")[0]


def disassembled(path):
    """[(address, operation, operands), ...]"""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(path)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [(int(m[1], 16), m[2], m[3]) for m in map(LINE.match, text.splitlines()) if m]


@pytest.fixture(scope="module", params=BUILDS, ids=module_name)
def build(request):
    """(level, disassembled code)"""
    code = disassembled(request.param)
    assert len(code) > 10_000
    return module_name(request.param).removeprefix("engine_"), code


def instructions_of_v3(code):
    """AVX and BMI, which no processor below x86-64-v3 has."""
    bmi = "andn|bextr|blsi|blsmsk|blsr|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx"
    return [line for line in code if re.fullmatch(rf"v\w+|({bmi})[lq]?", line[1])]


def instructions_of_v4(code):
    """AVX-512: its registers are zmm, k, and the upper half of xmm and ymm."""
    return [line for line in code if re.search(r"%(zmm|k\d|[xy]mm(1[6-9]|2\d|3[01]))", line[2])]


def test_no_engine_exceeds_its_instruction_set(build):
    """This machine runs them all, so that a wrong flag of the compiler would not be noticed."""
    level, code = build
    assert bool(instructions_of_v3(code)) == (level != "v2")
    assert bool(instructions_of_v4(code)) == (level == "v4")


@pytest.mark.parametrize("path", PLAIN, ids=module_name)
def test_other_modules_run_everywhere(path):
    """They are imported before the processor is looked at."""
    code = disassembled(path)
    assert len(code) > 1000
    assert not instructions_of_v3(code)


def loops(code):
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
    """A bare 1 in a formula of float becomes 1.0, and whole vectors go to double and back."""
    _, code = build
    assert not [one for one in code if re.fullmatch(r"v?cvtps2pd", one[1]) and "mm" in one[2]]


@pytest.mark.parametrize(("level", "register", "per_turn"), [("v4", "zmm", 24), ("v3", "ymm", 12)])
def test_tiles_stay_in_registers(build, level, register, per_turn):
    """The innermost loop of a product does its fused products in whole vectors, as many as the
    tile has accumulators, and touches the stack for none of them."""
    found, code = build
    if found != level:
        pytest.skip(f"about {level}")
    for suffix in ("ps", "pd"):
        bodies = [[line for line in body if register in line[2]] for body in loops(code)]
        tiles = [
            vectors for vectors in bodies
            if sum(line[1].startswith("vfmadd") for line in vectors) == per_turn
            and all(re.match(rf"vfmadd\d+{suffix}|vmov|vbroadcast", line[1]) for line in vectors)
        ]  # fmt: skip
        assert tiles, f"no loop of {per_turn} {register} products in {suffix}"
        for vectors in tiles:
            assert not [line for line in vectors if re.search(r"%r[sb]p", line[2])]
