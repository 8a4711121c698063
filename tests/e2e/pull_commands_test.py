#!/usr/bin/env python3
"""Commands in the way of a pull: what pipes made is kept over kills, and commands of the operator as sources."""
import contextlib
import fcntl
import glob
import os
import resource
import time

from harness import EXIT_BUSY, TIMEOUT, Workspace, main
from pull_test import CSV, Page, Server, add, fails, manifest, names, outcome, polling_state, pull, url_step

# Tells in a file that it ran, and that it is slow.
SLOW = "#!/bin/sh\necho run >> runs\nsleep 0.3\ncat\n"
PIPE = "[{kind: Pipe, command: [./slow.sh]}]"


def script(ws, text=SLOW, name="slow.sh"):
    path = ws.write(name, text)
    os.chmod(path, 0o755)
    return path


def runs(ws):
    with contextlib.suppress(FileNotFoundError), open(os.path.join(ws.folder, "runs"), encoding="utf-8") as file:
        return file.read().count("run")
    return 0


@contextlib.contextmanager
def nobody_commits(ws):
    """Holds the lock that every commit takes, so that a pull stands where all is prepared and nothing committed."""
    with open(os.path.join(ws.home, "locks", "workspace"), "a+", encoding="utf-8") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def kept(ws):
    return glob.glob(os.path.join(ws.home, "cache", "fetch", "*", "prepared-*.json"))


def kill_before_commit(ws, count=1, dataset="d"):
    """A pull that is killed when what the commands made is complete and nothing of it committed."""
    with nobody_commits(ws):
        process = ws.start("pull", dataset)
        deadline = time.monotonic() + TIMEOUT
        while len(kept(ws)) < count:
            assert process.poll() is None and time.monotonic() < deadline, (kept(ws), process.poll())
            time.sleep(0.01)
        process.kill()
        process.communicate()


def a_killed_pull_runs_no_command_again():
    with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
        script(ws)
        add(ws, "d", url_step(server.url()), prepare=PIPE)
        kill_before_commit(ws)
        assert runs(ws) == 1 and len(server.requests) == 1
        done = pull(ws, "d")
        assert b"taking what the commands made at" in done.err and b"system gc" in done.err, done
        assert names(ws) == {1: "a", 2: "b"} and runs(ws) == 1, "the command ran again"
        assert server.requests[1][1].get("If-None-Match") == '"1"' and len(server.requests) == 2, server.requests
        assert not kept(ws), "it is kept after the commit"
        server.pages["/data.csv"] = Page(CSV + "3,c\n", etag='"2"')
        assert outcome(ws, "d")["records"]["added"] == 1 and runs(ws) == 2
        ws.check_sound("d")


def what_was_kept_is_of_that_content():
    """Other content, another script, damage, gc, --force: the command runs."""
    changes = {
        "content": lambda ws, server: server.pages.update({"/data.csv": Page("id,name\n1,n\n", etag='"2"')}),
        "script": lambda ws, server: script(ws, SLOW.replace("cat", "tr ab nm")),
        "gc": lambda ws, server: ws.run("system", "gc"),
        "damage": lambda ws, server: os.truncate(kept(ws)[0][:-5], 7),
        "nothing": lambda ws, server: None,
    }
    for name, change in changes.items():
        with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
            script(ws)
            add(ws, "d", url_step(server.url()), prepare=PIPE)
            kill_before_commit(ws)
            change(ws, server)
            pull(ws, "d", *(["--force"] if name == "nothing" else []))
            assert runs(ws) == 2, name
            wanted = {"content": {1: "n"}, "script": {1: "n", 2: "m"}}.get(name, {1: "a", 2: "b"})
            assert names(ws) == wanted, (name, names(ws))


def files_are_prepared_once_too():
    with Workspace() as ws:
        script(ws)
        for i in range(20):
            ws.write(f"f{i}.csv", f"id,name\n{i},a\n")
        add(ws, "d", "{kind: FilesGlob, path: 'f*.csv'}", prepare=PIPE.replace("slow", "quick"), merge="{kind: Ledger, primaryKey: [id]}")
        script(ws, SLOW.replace("sleep 0.3", ":"), "quick.sh")
        kill_before_commit(ws, count=20)
        ws.write("f7.csv", "id,name\n7,b\n")
        pull(ws, "d")
        assert names(ws) == {i: "b" if i == 7 else "a" for i in range(20)}
        assert runs(ws) == 21, "only of the file that changed it is made anew"
        assert not kept(ws)
        # And of one file, through two commands with one inside the process between them.
        ws.write("one.csv", CSV)
        add(ws, "e", url_step("file://" + os.path.join(ws.folder, "one.csv")),
            prepare="[{kind: Pipe, command: [gzip, -c]}, {kind: Decompress, format: Gzip}, {kind: Pipe, command: [./quick.sh]}, "
                    "{kind: Pipe, command: [gzip, -c]}, {kind: Decompress, format: gzip}]")
        kill_before_commit(ws, dataset="e")
        pull(ws, "e")
        assert names(ws, "e") == {1: "a", 2: "b"} and runs(ws) == 22


def what_was_refused_is_made_anew():
    with Server(data__csv=Page(etag='"1"')) as server, Workspace() as ws:
        script(ws, SLOW.replace("cat", "cat > in; cat table"))
        ws.write("table", "id,name\nx,a\n")
        add(ws, "d", url_step(server.url()), prepare=PIPE)
        fails(ws, "'x'", code=8)
        assert runs(ws) == 1 and not kept(ws)
        ws.write("table", CSV)
        pull(ws, "d")
        assert names(ws) == {1: "a", 2: "b"} and runs(ws) == 2
        # A lock that is not free is no reason to make it anew.
        ws.write("table", CSV + "3,c\n")
        server.pages["/data.csv"] = Page(CSV + "3,c\n", etag='"2"')
        with nobody_commits(ws):
            fails(ws, "lock", command=("pull", "d", "--lock-timeout", "1"), code=EXIT_BUSY)
        assert runs(ws) == 3 and len(kept(ws)) == 1
        assert outcome(ws, "d")["records"]["added"] == 1 and runs(ws) == 3


def a_command_that_fails_leaves_nothing():
    with Workspace() as ws:
        script(ws, "#!/bin/sh\necho run >> runs\nhead -c 12\nexit 3\n")
        ws.write("data.csv", CSV)
        add(ws, "d", url_step("file://" + os.path.join(ws.folder, "data.csv")), prepare=PIPE)
        for n in (1, 2):
            fails(ws, "exit code 3")
            assert runs(ws) == n and not kept(ws)


def what_cannot_be_kept_is_read_all_the_same():
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    with Workspace() as ws:
        script(ws)
        ws.write("data.csv", "id,name\n" + "".join(f"{i % 10},same\n" for i in range(400_000)))
        add(ws, "d", url_step("file://" + os.path.join(ws.folder, "data.csv")), prepare=PIPE)
        ws.run("pull", "d", preexec_fn=limit)
        assert len(names(ws)) == 10 and runs(ws) == 1
        assert not glob.glob(os.path.join(ws.home, "cache", "fetch", "*", "prepared-*"))


def commands_of_the_operator():
    with Workspace() as ws:
        add(ws, "d", url_step("exec:report"))
        fails(ws, "no command is called 'report'", "source.exec.report")
        ws.write("table.csv", CSV)
        ws.run("config", "set", "source.exec.report", "./report.sh table.csv")
        script(ws, "#!/bin/sh\necho run >> runs\ncat $1\n", "report.sh")
        assert b"report.sh table.csv" in ws.run("config", "get", "source.exec.report").out
        assert outcome(ws, "d")["records"]["added"] == 2
        assert polling_state(ws, "d").startswith("sluice/content=16:")
        done = outcome(ws, "d")
        assert done["status"] == "up-to-date" and done["notes"] == [] and not done["uncacheable"], done
        assert runs(ws) == 2, "it is run at every pull: there is no other way to tell"
        ws.write("table.csv", CSV + "3,c\n")
        assert outcome(ws, "d")["records"]["added"] == 1 and names(ws) == {1: "a", 2: "b", 3: "c"}
        # Words with blanks, as a list.
        ws.run("config", "set", "source.exec.report", '["sh", "-c", "echo run >> runs; echo id,name; echo 1,z"]')
        pull(ws, "d")
        assert names(ws) == {1: "z"}
        again = ws.run("config", "get", "source.exec.report").out.decode().strip()
        ws.run("config", "set", "source.exec.report", again)
        assert outcome(ws, "d")["status"] == "up-to-date"
        # What fails is told with what it said; its arguments, which may hold secrets, are not.
        ws.run("config", "set", "source.exec.report", '["sh", "-c", "echo oh dear >&2; exit 4", "hush"]')
        done = fails(ws, "exec:report ended with exit code 4", "oh dear")
        assert b"hush" not in done.err, done
        ws.run("config", "set", "source.exec.report", "/no/such/program")
        fails(ws, "there is no program '/no/such/program'")
        for value in ("", "[]", '["a", {}]', "[1,"):
            ws.run("config", "set", "source.exec.other", value, code=1)
        ws.run("config", "unset", "source.exec.report")
        fails(ws, "no command is called 'report'")
        ws.check_sound("d")


def what_they_wrote_is_kept_until_committed():
    with Workspace() as ws:
        script(ws, "#!/bin/sh\necho run >> runs\nprintf 'id,name\\n1,a\\n2,b\\n'\n", "report.sh")
        ws.run("config", "set", "source.exec.report", "./report.sh")
        add(ws, "d", url_step("exec:report"))
        with nobody_commits(ws):
            process = ws.start("pull", "d")
            deadline = time.monotonic() + TIMEOUT
            while not glob.glob(os.path.join(ws.home, "cache", "fetch", "*", "body.json")):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.01)
            process.kill()
            process.communicate()
        done = pull(ws, "d")
        assert b"taking what 'report' wrote at" in done.err and runs(ws) == 1, done
        assert names(ws) == {1: "a", 2: "b"}


def errors_name_what_the_manifest_names():
    """Not the places below `.sluice/cache` where downloads and outputs are kept: `fails` looks for those."""
    parquet = "{kind: Parquet}"
    with Workspace() as ws, Server(data__parquet=Page(b"PAR1 no more PAR1")) as server:
        ws.run("config", "set", "source.exec.report", '["echo", "no table"]')
        add(ws, "text", url_step("exec:report"), read="{kind: NdJson}")
        fails(ws, "exec:report: 1 record does not fit", command=("pull", "text"))
        add(ws, "columns", url_step("exec:report"), read=parquet)
        fails(ws, "file 'exec:report' is not readable as parquet", command=("pull", "columns"))
        add(ws, "shapes", url_step("exec:report"), read="{kind: EsriShapefile}")
        fails(ws, "'exec:report'", command=("pull", "shapes"))
        url = server.url("/data.parquet")
        add(ws, "downloaded", url_step(url), read=parquet)
        fails(ws, f"file '{url}' is not readable as parquet", command=("pull", "downloaded"))
        add(ws, "piped", url_step(url), read=parquet, prepare="[{kind: Pipe, command: [cat]}]")
        fails(ws, f"file '{url}' is not readable as parquet", command=("pull", "piped"))
        add(ws, "zipped", url_step(url), prepare="[{kind: Decompress, format: Zip}]")
        fails(ws, f"'{url}'", command=("pull", "zipped"))


def previews_run_them_too():
    with Workspace() as ws:
        ws.run("config", "set", "source.exec.report", '["printf", "id,name\\\\n7,seven\\\\n"]')
        path = ws.write("d.yaml", manifest("d", url_step("exec:report")))
        assert b"seven" in ws.run("preview", path).out


def sources_from_elsewhere_run_nothing():
    with Workspace() as ws:
        add(ws, "d", url_step("exec:report"))
        os.remove(os.path.join(ws.home, "trusted-sources"))
        script(ws, "#!/bin/sh\necho run >> runs\necho id,name\n", "report.sh")
        ws.run("config", "set", "source.exec.report", "./report.sh")
        fails(ws, "may not run 'exec:report'", "source trust")
        assert runs(ws) == 0
        ws.run("source", "trust", "d")
        pull(ws, "d")
        assert runs(ws) == 1


if __name__ == "__main__":
    main([a_killed_pull_runs_no_command_again, what_was_kept_is_of_that_content, files_are_prepared_once_too,
          what_was_refused_is_made_anew, a_command_that_fails_leaves_nothing,
          what_cannot_be_kept_is_read_all_the_same, commands_of_the_operator,
          what_they_wrote_is_kept_until_committed, errors_name_what_the_manifest_names, previews_run_them_too, sources_from_elsewhere_run_nothing])
