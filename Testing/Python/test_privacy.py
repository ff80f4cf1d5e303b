"""Nothing leaves the machine."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ONLY_IMPORTER = ROOT / "MedSegDL/MedSegDLLib/engine/private_openvino.py"


def imported_packages(path: Path) -> set[str]:
    packages = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            packages.add(node.module.split(".")[0])
    return packages


def test_openvino_is_imported_in_one_place():
    sources = [path for module in ("MedSegDL", "MedSegTrain") for path in (ROOT / module).rglob("*.py")]
    assert [path for path in sources if "openvino" in imported_packages(path)] == [ONLY_IMPORTER]


def test_openvino_gets_the_stub_in_place_of_its_telemetry():
    program = (
        "import MedSegDLLib.engine.private_openvino, openvino.tools.ovc as ovc; print(type(ovc.telemetry).__module__)"
    )
    path = {"PYTHONPATH": str(ROOT / "MedSegDL")}
    answer = subprocess.run([sys.executable, "-c", program], env=path, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "openvino.tools.ovc.telemetry_stub"
