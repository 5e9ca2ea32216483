"""Runs the benchmarks, then prints the table and draws the picture.

    python run.py [--quick] [--full] [--fused also|only] [--threads N] [--operations A,B] [--classes A,B] [--no-peers]

Run it from this folder with the Python that fastnorm is installed in. The JSON file and the picture
go to results/. Options that are not known here go to pytest.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest.json")
    parser.add_argument("--markdown", type=Path, help="also write a page with every figure")
    parser.add_argument("--readme", type=Path, help="also write the means of classes into this page")
    arguments, for_pytest = parser.parse_known_args()
    output = arguments.output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)  # an old run must not pass for this one
    command = [sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", ".", "-q", "."]
    ran = subprocess.run([*command, "--no-header", f"--benchmark-json={output}", *for_pytest], cwd=HERE)
    if not output.exists():
        return ran.returncode or 1
    report = [
        sys.executable,
        "report.py",
        str(output),
        "--picture",
        str(output.with_suffix(".png")),
    ]
    for option in ("markdown", "readme"):
        if page := getattr(arguments, option):
            report += [f"--{option}", str(page.resolve())]
    return subprocess.run(report, cwd=HERE).returncode or ran.returncode


if __name__ == "__main__":
    sys.exit(main())
