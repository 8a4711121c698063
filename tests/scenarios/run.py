#!/usr/bin/env python3
"""Runs scenario files against the real program; the last line is `N passed, N failed`.

usage: run.py --program SLUICE [--batch-rows N] [--only TEXT] [--jobs N] [--keep] [FILE.test]...
"""
import argparse
import concurrent.futures
import os
import pathlib
import sys
import tempfile
import time

from checks import Failure, LeftOut, Runner
from parse import FormatError, read_scenarios
from verifier import find_verifier

HERE = pathlib.Path(__file__).resolve().parent


def run_one(scenario, args, verifiers):
    """(outcome, text): outcome is `ok`, `failed` or `left out`."""
    folder = tempfile.mkdtemp(prefix="sluice-scenario.")
    verifier = verifiers.pop() if verifiers else None
    try:
        Runner(scenario, pathlib.Path(folder), args.program, args.batch_rows, verifier).run()
        return "ok", ""
    except LeftOut as why:
        return "left out", str(why)
    except (Failure, FormatError) as failure:
        return "failed", str(failure)
    except Exception as error:  # a mistake in a scenario or the runner is a failure of that scenario alone
        return "failed", f"{type(error).__name__}: {error}"
    finally:
        if verifier:
            verifiers.append(verifier)
        if args.keep:
            print(f"kept: {folder}: {scenario.name}")
        else:
            remove(folder)


def remove(folder):
    for path, _, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(os.path.join(path, name))
        os.rmdir(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=lambda p: str(pathlib.Path(p).resolve()), required=True)
    parser.add_argument("--batch-rows", type=int, default=0, help="read batches of so many rows")
    parser.add_argument("--only", default="", help="scenarios whose name has this text")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="leave the workspaces behind")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    args = parser.parse_args()

    scenarios = [s for file in args.files or sorted(HERE.glob("*.test")) for s in read_scenarios(file) if args.only in s.name]
    verifiers = []
    for _ in range(args.jobs):
        verifier, why = find_verifier()
        if verifier:
            verifiers.append(verifier)
    if not verifiers:
        print(f"left out: independent verification: {why}")
    counts = {"ok": 0, "failed": 0, "left out": 0}
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        futures = {pool.submit(run_one, s, args, verifiers): s for s in scenarios}
        for future in concurrent.futures.as_completed(futures):
            outcome, text = future.result()
            counts[outcome] += 1
            if outcome == "failed":
                print(f"FAILED {futures[future].name}\n" + "\n".join("    " + line for line in text.split("\n")), flush=True)
            elif outcome == "left out":
                print(f"left out: {futures[future].name}: {text}", flush=True)
    for verifier in verifiers:
        verifier.close()
    print(f"{len(scenarios)} scenarios in {time.monotonic() - start:.1f} s")
    print(f"{counts['ok']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] or not counts["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
