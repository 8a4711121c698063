#!/usr/bin/env python3
"""Installs, moves the tree, hides the dependency cache, runs the moved program, and builds a program against the tree.

usage: install_test.py BUILD SOURCE DEPS

DEPS is the cache of pinned libraries that the build used; it is hidden by an empty file system in a mount namespace where
the kernel allows that, and the loader's choices are checked in any case."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD, SOURCE, DEPS = (os.path.abspath(path) for path in sys.argv[1:4])
PRIVATE = ("libarrow", "libparquet", "libduckdb")


class Failure(Exception):
    pass


def run(*command, cwd=None, env=None):
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"'{' '.join(command)}' ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def clean_environment(scratch):
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "LD_", "CMAKE_PREFIX"))}
    return {**keep, "HOME": scratch, "XDG_CACHE_HOME": os.path.join(scratch, "cache"), "SLUICE_DEPS": "/nonexistent"}


def hiding_prefix():
    """A command prefix that runs the rest with DEPS hidden, or nothing where mount namespaces are not allowed."""
    if not os.path.isdir(DEPS):
        return []
    prefix = ["unshare", "--mount", "--map-root-user", "sh", "-c", 'mount -t tmpfs none "$1" && shift && exec "$@"', "sh", DEPS]
    probe = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    print("dependency cache: " + ("hidden" if probe.returncode == 0 else "mount namespaces are not allowed, loader checked alone"))
    return prefix if probe.returncode == 0 else []


def check_loader(binary, tree, env):
    listing = run("ldd", binary, env=env)
    if "not found" in listing:
        raise Failure(f"{binary}: libraries are missing:\n{listing}")
    found = 0
    for name, path in re.findall(r"(\S+) => (/\S+)", listing):
        if os.path.basename(name).startswith(PRIVATE):
            found += 1
            if not os.path.realpath(path).startswith(os.path.realpath(tree) + os.sep):
                raise Failure(f"{binary}: {name} is taken from {path}, outside the moved tree")
    if found < len(PRIVATE):
        raise Failure(f"{binary}: only {found} of the private libraries are linked:\n{listing}")


def check_simdjson_first(binary):
    """libparquet exports another version of simdjson under the same names: the loader takes the first that it is given."""
    needed = re.findall(r"\(NEEDED\).*\[(lib(?:simdjson|parquet))\.so", run("readelf", "-d", binary))
    if needed != ["libsimdjson", "libparquet"]:
        raise Failure(f"{binary}: JSON is read by the simdjson of another library; the order is {needed}")


def check_program(tree, scratch, env, hide):
    program = os.path.join(tree, "bin", "sluice")
    check_loader(program, tree, env)
    check_simdjson_first(program)
    dynamic = run("readelf", "-d", program)
    for path in re.findall(r"R(?:UN)?PATH\)\s+Library r(?:un)?path: \[([^]]*)\]", dynamic):
        if any(not part.startswith("$ORIGIN") for part in path.split(":") if part):
            raise Failure(f"the installed program looks for libraries in '{path}'")
    work = os.path.join(scratch, "work")
    os.mkdir(work)
    with open(os.path.join(work, "m.yaml"), "w", encoding="utf-8") as file:
        file.write("kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: moved\n  kind: Root\n  metadata:\n"
                   "    - kind: AddPushSource\n      sourceName: default\n      read: {kind: Csv, header: true, inferSchema: true}\n"
                   "      merge: {kind: Append}\n")
    with open(os.path.join(work, "d.csv"), "w", encoding="utf-8") as file:
        file.write("a,b\n1,x\n2,y\n")
    for words in (["init"], ["add", "m.yaml"], ["ingest", "moved", "d.csv"], ["verify"]):
        run(*hide, program, *words, cwd=work, env=env)
    rows = run(*hide, program, "sql", "-o", "csv", "-c", "select sum(a) as s from moved", cwd=work, env=env)
    if rows.split() != ["s", "3"]:
        raise Failure(f"the moved program prints '{rows}' for the sum")


def check_licences(tree):
    folder = os.path.join(tree, "share", "sluice", "licenses")
    found = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    wanted = {"LICENSE", "arrow-LICENSE.txt", "arrow-NOTICE.txt", "duckdb-LICENSE"}
    if wanted - found:
        raise Failure(f"licences are missing in the installed tree: {', '.join(sorted(wanted - found))}")


def check_package_files(tree):
    for folder, _, names in os.walk(os.path.join(tree, "lib", "cmake")):
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                text = file.read()
            for path in (DEPS, SOURCE, BUILD):
                if path in text:
                    raise Failure(f"{name} names a folder of the machine that built it: {path}")


def check_example(tree, scratch, env, hide):
    length = sum(1 for _ in open(os.path.join(SOURCE, "examples", "embed", "main.cc"), encoding="utf-8"))
    if length > 60:
        raise Failure(f"examples/embed/main.cc has {length} lines, it is meant to be short")
    source = os.path.join(scratch, "embed")
    shutil.copytree(os.path.join(SOURCE, "examples", "embed"), source)
    build = os.path.join(scratch, "embed-build")
    run(*hide, "cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_PREFIX_PATH={tree}", env=env)
    run(*hide, "cmake", "--build", build, env=env)
    program = os.path.join(build, "embed")
    check_loader(program, tree, env)
    check_simdjson_first(program)
    work = os.path.join(scratch, "embedded")
    os.mkdir(work)
    first = run(*hide, program, work, env=env)
    second = run(*hide, program, work, env=env)
    if not first.startswith("1 record(s) added") or not second.startswith("0 record(s) added"):
        raise Failure(f"the example prints '{first.strip()}', then '{second.strip()}'")
    if first.split("head ")[1] != second.split("head ")[1]:
        raise Failure("the second run of the example moved the head")
    run(os.path.join(tree, "bin", "sluice"), "verify", cwd=work, env=env)


def check_custom_processor(tree, scratch, env, hide):
    source = os.path.join(scratch, "custom-processor")
    shutil.copytree(os.path.join(SOURCE, "examples", "custom-processor"), source)
    # With a connector whose client library nothing else links.
    main_cc = os.path.join(source, "main.cc")
    with open(main_cc, encoding="utf-8") as file:
        text = file.read()
    for name, anchor in (("include", '#include "connectors/stdio/connector.h"\n'), ("registration", "  connectors::RegisterStdio(registry);\n")):
        if anchor not in text:
            raise Failure(f"the custom processor has no {name} of stdio after which to add postgres")
        text = text.replace(anchor, anchor + anchor.replace("stdio", "postgres").replace("Stdio", "Postgres"))
    with open(main_cc, "w", encoding="utf-8") as file:
        file.write(text)
    build = os.path.join(scratch, "custom-processor-build")
    run(*hide, "cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_PREFIX_PATH={tree}", env=env)
    run(*hide, "cmake", "--build", build, env=env)
    program = os.path.join(build, "feedback")
    check_simdjson_first(program)
    run(*hide, program, "pipeline.yaml", cwd=source, env=env)
    with open(os.path.join(source, "sorted.ndjson"), encoding="utf-8") as file:
        moods = {record["uuid"]: record["metadata_type"] for record in map(json.loads, file)}
    if moods != {"1": "complaint", "2": "", "3": ""}:
        raise Failure(f"the custom processor gives {moods}")
    with open(os.path.join(source, "wrong.yaml"), "w", encoding="utf-8") as file:
        file.write("ingestors: [{type: stdio}]\nprocessors: [{type: mood}]\nwriter: {type: stdio}\n")
    done = subprocess.run([*hide, program, "wrong.yaml"], cwd=source, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 1 or "words" not in done.stderr:
        raise Failure(f"a missing option of the custom processor: exit {done.returncode}, '{done.stderr}'")


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        env = clean_environment(scratch)
        tree = os.path.join(scratch, "there", "moved")
        # What users call, without the steps that have been made already.
        run("make", "-o", "setup", "-o", "build", "install", f"BUILD={BUILD}", "PREFIX=" + os.path.join(scratch, "here"), cwd=SOURCE)
        os.mkdir(os.path.join(scratch, "there"))
        os.rename(os.path.join(scratch, "here"), tree)
        hide = hiding_prefix()
        for name, check in (("program", lambda: check_program(tree, scratch, env, hide)), ("licences", lambda: check_licences(tree)),
                            ("package files", lambda: check_package_files(tree)),
                            ("example", lambda: check_example(tree, scratch, env, hide)),
                            ("custom processor", lambda: check_custom_processor(tree, scratch, env, hide))):
            try:
                check()
                passed += 1
            except Failure as failure:
                failed += 1
                print(f"{name}: {failure}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
