#!/usr/bin/env python3
"""What is different on a terminal: the log goes through a pager, a pull shows how it gets on."""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time

import harness
from harness import APPEND, Workspace, main, records
from pull_test import BIG, Page, Server, add, url_step


def on_terminal(ws, *args, environment=None):
    """Runs a command with a terminal as its standard output; gives its exit code and what the terminal showed."""
    ours, theirs = pty.openpty()
    process = ws.start(*args, stdout=theirs, env={**os.environ, **(environment or {})})
    os.close(theirs)
    return process, ours


def shown(terminal):
    out = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the last writer has gone
            break
        if not part:
            break
        out += part
    os.close(terminal)
    return out.replace(b"\r\n", b"\n")


def ended(process, timeout=20):
    code = process.wait(timeout)
    err = process.stderr.read()
    process.stderr.close()
    assert code == 0 and b"Error" not in err, (code, err)


def workspace():
    ws = Workspace()
    ws.add("d", APPEND)
    for n in range(3):
        ws.run("ingest", "d", "--stdin", "--state", n, data=records([n]))
    return ws


def log_goes_through_the_pager():
    with workspace() as ws:
        plain = ws.run("log", "d", env={**os.environ, "PAGER": "touch paged; cat"}).out
        assert not os.path.exists(os.path.join(ws.folder, "paged")), "there is no terminal"
        process, terminal = on_terminal(ws, "log", "d", "--no-color", environment={"PAGER": "touch paged; cat", "NO_COLOR": "1"})
        out = shown(terminal)
        ended(process)
        assert os.path.exists(os.path.join(ws.folder, "paged"))
        assert out == plain, (out, plain)
        for pager in ("", "cat"):
            process, terminal = on_terminal(ws, "log", "d", environment={"PAGER": pager, "NO_COLOR": "1"})
            assert shown(terminal) == plain
            ended(process)


def a_pager_may_leave_early():
    with workspace() as ws:
        for pager in ("head -n 1", "true", "/nowhere/pager 2> /dev/null"):
            process, terminal = on_terminal(ws, "log", "d", environment={"PAGER": pager})
            shown(terminal)
            ended(process)


def interrupts_are_the_pagers():
    with workspace() as ws:
        process, terminal = on_terminal(ws, "log", "d", environment={"PAGER": "touch began; sleep 1; cat > late"})
        while not os.path.exists(os.path.join(ws.folder, "began")):
            time.sleep(0.01)
        for _ in range(2):
            time.sleep(0.15)
            process.send_signal(signal.SIGINT)
        shown(terminal)
        ended(process)
        with open(os.path.join(ws.folder, "late"), "rb") as file:
            assert file.read().count(b"Block #") == ws.run("log", "d").out.count(b"Block #")


def pulls_show_a_line_each():
    """Stage, bytes of all of them, rows; gone when it ends. None of that goes elsewhere than to a terminal."""
    with Server(data__csv=Page(BIG, etag='"1"')) as server, Workspace() as ws:
        def slowly(h):
            h.send_response(200)
            h.send_header("ETag", '"1"')
            h.send_header("Content-Length", str(len(BIG)))
            h.end_headers()
            step = len(BIG) // 20 + 1
            for at in range(0, len(BIG), step):
                h.wfile.write(BIG[at:at + step].encode())
                h.wfile.flush()
                time.sleep(0.1)

        server.answer = slowly
        for name in ("one", "two"):
            add(ws, name, url_step(server.url()))
        # Many rows that come piece by piece, so that there are some to be seen however fast the machine is.
        rows = 3_000_000
        long = ws.write("long.csv", "id,name\n" + "1,a\n" * rows)
        pieces = "for i in 1 2 3 4 5 6 7 8; do head -c 1400000; sleep 0.3; done; cat"
        add(ws, "three", url_step("file://" + long), merge="{kind: Append}", prepare=f"[{{kind: Pipe, command: [sh, -c, '{pieces}']}}]")
        ours, theirs = pty.openpty()
        process = ws.start("pull", "one", "two", "three", "-o", "json", stderr=theirs)
        os.close(theirs)
        seen = shown(ours).decode()
        out = process.stdout.read()
        added = {d["dataset"]: d["records"]["added"] for d in json.loads(out)}
        assert process.wait(30) == 0 and added == {"one": 20000, "two": 20000, "three": rows}, out
        for words in ("one: ", "two: ", "three: ", " MiB of 1.6 MiB", "MiB/s", " rows"):
            assert words in seen, (words, seen[-3000:])
        file = re.search(r"three: reading, [0-9.]+ MiB, [0-9.]+ MiB/s, [0-9]+ rows", seen)
        assert file, seen[-3000:]
        assert "3 dataset(s) updated" in seen.rsplit("\x1b[J", 1)[1], seen[-500:]
        process.stdout.close()
        assert b"\x1b" not in ws.run("pull", "one").err


def values_in_messages_do_not_steer_the_terminal():
    with workspace() as ws:
        ws.write("\x1b[31m.json", '{"k":"\\u001b"}\n')
        done = ws.run("ingest", "d", "\x1b[31m.json", code=8)
        assert b"\x1b" not in done.err and b"\\x1b[31m.json" in done.err, done.err


# What is typed, and what must and must not be offered.
COMPLETED = [
    (["sys"], ["system"], ["verify"]),
    (["system", ""], ["compact", "gc"], ["ingest"]),
    (["ingest", "--so"], ["--source-name"], []),
    (["--lock-timeout", "5", "ingest", "--so"], ["--source-name"], []),
    (["ls", "--o"], ["--output-format"], []),
    (["tail", "d"], ["d"], []),
]


def shells_complete():
    """bash always; zsh and fish where they are installed (their scripts are asked as a user's shell asks them)."""
    with workspace() as ws:
        path = {**os.environ, "PATH": os.path.dirname(harness.program) + ":" + os.environ["PATH"]}
        shells = {"bash": 'eval "$(sluice completions bash)"; COMP_WORDS=(sluice "$@"); COMP_CWORD=$#; _sluice; printf "%s\\n" "${COMPREPLY[@]}"'}
        if shutil.which("zsh"):
            shells["zsh"] = ('compdef() { : }; compadd() { shift; print -rl -- ${(M)@:#$words[CURRENT]*}; }; _files() { : }; '
                             'eval "$(sluice completions zsh)"; words=(sluice "$@"); CURRENT=$#words; offered=$(_sluice); print -r -- $offered')
        if shutil.which("fish"):
            shells["fish"] = 'sluice completions fish | source; complete -C "sluice $argv" | string split -f1 \\t'
        for shell, script in shells.items():
            for typed, offered, hidden in COMPLETED:
                command = [shell, "-c", script, "--" if shell == "fish" else "sluice", *typed]
                done = subprocess.run(command, cwd=ws.folder, env=path, capture_output=True, timeout=20, check=False)
                words = [word for line in done.stdout.decode().splitlines() for word in line.split()]
                assert not done.stderr and set(offered) <= set(words) and not set(hidden) & set(words), (shell, typed, done)
        for shell in ("zsh", "fish"):
            if shell not in shells:
                print(f"left out: {shell} is not installed")


if __name__ == "__main__":
    main([values_in_messages_do_not_steer_the_terminal, shells_complete, log_goes_through_the_pager, a_pager_may_leave_early, interrupts_are_the_pagers, pulls_show_a_line_each])
