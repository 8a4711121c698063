"""The independent verifier of datasets, one long-running process: starting it for every dataset would take most of the time."""
import json
import os
import pathlib
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

SERVER = """
import json, pathlib, sys
import odf_verify, pyarrow, pyarrow.parquet
for line in sys.stdin:
    request = json.loads(line)
    try:
        report, _ = odf_verify.verify(pathlib.Path(request["dataset"]), True, request["strict"])
        answer = [str(v) for v in report.violations]
    except Exception as error:
        answer = [f"{type(error).__name__}: {error}"]
    print(json.dumps(answer), flush=True)
"""


def shared_folder():
    """Material that is not part of the project's repository; may be absent."""
    return pathlib.Path(os.environ.get("SLUICE_SHARED", REPOSITORY.parent / "shared"))


class Verifier:
    def __init__(self, python, folder):
        self.process = subprocess.Popen([python, "-c", SERVER], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def violations(self, dataset, strict):
        self.process.stdin.write(json.dumps({"dataset": str(dataset), "strict": strict}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def find_verifier():
    """(verifier, None) or (None, why there is none)."""
    folder = shared_folder() / "tools" / "odf-verify"
    if not (folder / "odf_verify.py").exists():
        return None, "shared/tools/odf-verify is not there"
    dependencies = os.environ.get("SLUICE_DEPS", os.path.expanduser("~/.cache/sluice/deps"))
    python = os.path.join(dependencies, "python-tests", "bin", "python")
    if not os.path.exists(python):
        return None, "no Python environment for tests (tools/setup makes it)"
    return Verifier(python, folder), None
