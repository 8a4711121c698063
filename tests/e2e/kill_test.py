#!/usr/bin/env python3
"""kill -9 at random moments: nothing is lost, nothing doubled, and what was left behind is cleaned."""
import os
import random
import time

from harness import APPEND, LEDGER, UPSERT, Workspace, live, main, manifest, record, records

SEED = int(os.environ.get("SLUICE_SEED", time.time_ns() % 1_000_000))
dice = random.Random(SEED)
BATCH = 10


class Moments:
    """When to kill: early, or anywhere in the time that a whole run was seen to take."""

    def __init__(self):
        self.longest = 0.1

    def next(self):
        return dice.uniform(0, 0.06) if dice.random() < 0.5 else dice.uniform(0, 1.1 * self.longest)

    def timed(self, call):
        start = time.monotonic()
        result = call()
        self.longest = 0.7 * self.longest + 0.3 * (time.monotonic() - start)
        return result


def batch_rows(n, overlap):
    """Batch n: ten keys of its own and, where asked, five of the batch before."""
    return records(range(n * BATCH - (5 if overlap and n else 0), (n + 1) * BATCH))


def ingest_under_fire(merge, kills):
    overlap = merge == LEDGER
    with Workspace() as ws:
        ws.add("d", merge)
        moments = Moments()
        n = killed = 0
        while killed < kills:
            path = ws.write("batch", batch_rows(n, overlap))
            through_stdin = dice.random() < 0.3
            command = ["ingest", "d", *(["--stdin"] if through_stdin else [path]), "--state", n, "--if-state",
                       n - 1 if n else "*"]
            killed += ws.kill_after(moments.next(), *command, stdin=path if through_stdin else None)
            if dice.random() < 0.3:  # a caller who only repeats its command
                with open(path, "rb") as source:
                    moments.timed(lambda: ws.run(*command, stdin=source))
            state = ws.state("d")
            now = -1 if state is None else int(state)
            assert now in (n - 1, n), f"state {now} after batch {n}"
            n = now + 1
        if n == 0:
            ws.run("ingest", "d", ws.write("batch", batch_rows(0, overlap)), "--state", 0, "--if-state", "*")
            n = 1
        rows = ws.rows("d")
        assert [r["offset"] for r in rows] == list(range(len(rows)))
        assert [r["k"] for r in rows] == list(range(n * BATCH)), f"{len(rows)} rows after {n} batches"
        assert len(ws.data_blocks("d")) == n
        ws.check_sound("d")
        ws.check_clean()
        if overlap:
            ws.run("ingest", "d", "--stdin", data=records(range(n * BATCH)))
            assert len(ws.rows("d")) == n * BATCH, "old keys were added again"
            ws.run("ingest", "d", "--stdin", data=records(range(n * BATCH + 1)))
            assert len(ws.rows("d")) == n * BATCH + 1, "a new key was taken for an old one"


def append_survives_a_hundred_kills():
    ingest_under_fire(APPEND, 100)


def ledger_survives_a_hundred_kills():
    ingest_under_fire(LEDGER, 100)


def upserts_see_the_latest_rows_after_kills():
    with Workspace() as ws:
        ws.add("d", UPSERT)
        moments, model, n, killed = Moments(), {}, 0, 0
        while killed < 40:
            change = {k: f"{n}/{k}" for k in dice.sample(range(30), 8)}
            path = ws.write("batch", "".join(record(k, v) for k, v in change.items()))
            command = ["ingest", "d", path, "--state", n]
            killed += ws.kill_after(moments.next(), *command)
            moments.timed(lambda: ws.run(*command))
            model.update(change)
            n += 1
        assert live(ws.rows("d")) == model
        ws.check_sound("d")
        ws.check_clean()


def compaction_killed_keeps_every_row():
    with Workspace() as ws:
        ws.add("d", LEDGER)
        n = 0
        moments = Moments()
        for _ in range(12):
            for _ in range(4):
                ws.run("ingest", "d", "--stdin", "--state", n, data=batch_rows(n, True))
                n += 1
            ws.kill_after(moments.next(), "system", "compact", "--hard", "d", "--yes")
            assert [r["k"] for r in ws.rows("d")] == list(range(n * BATCH))
            assert ws.state("d") == str(n - 1)
            ws.run("verify", "d")
        ws.run("ingest", "d", "--stdin", data=batch_rows(n, True))
        moments.timed(lambda: ws.run("system", "compact", "--hard", "d", "--yes"))
        assert [r["k"] for r in ws.rows("d")] == list(range((n + 1) * BATCH))
        ws.check_sound("d")
        ws.check_clean()
        # Nothing is there that the chain does not need.
        slices = len(os.listdir(os.path.join(ws.path("d"), "data")))
        assert slices == len(ws.data_blocks("d")) == 1, f"{slices} slices"
        blocks = len(os.listdir(os.path.join(ws.path("d"), "blocks")))
        chain = ws.run("log", "d", "--limit", 1_000_000).out.count(b"Block #")
        assert blocks == chain, f"{blocks} blocks stored, {chain} in the chain"


def add_killed_makes_all_or_nothing():
    with Workspace() as ws:
        moments = Moments()
        made = 0
        for n in range(25):
            path = ws.write("m.yaml", manifest(f"d{n}", LEDGER))
            ws.kill_after(moments.next() if n else 0, "add", path)
            there = f'"d{n}"'.encode() in ws.run("list", "-o", "json").out
            again = ws.run("add", path)
            assert (b"Already exists" in again.err) == there, again
            made += 1
            ws.run("ingest", f"d{n}", "--stdin", data=records([n]))
        # One more creation sweeps up what unfinished ones left.
        ws.add("last", LEDGER)
        ws.check_sound()
        ws.check_clean()
        for folder in ("datasets", "keys", "derived"):
            names = os.listdir(os.path.join(ws.home, folder))
            assert len(names) == made + 1, f"{len(names)} entries in {folder}, {made + 1} datasets"


def replace_killed_keeps_the_old_or_has_the_new():
    with Workspace() as ws:
        moments = Moments()
        path = ws.write("m.yaml", manifest("d", LEDGER))
        ws.run("add", path)
        ws.add("other", LEDGER)
        ws.run("ingest", "d", "--stdin", data=records([0]))
        seen = set()
        for n in range(1, 31):
            old = ws.head("d")
            ws.kill_after(moments.next(), "add", "--replace", "--yes", path)
            replaced = ws.head("d") != old
            seen.add(replaced)
            assert [r["k"] for r in ws.rows("d")] == ([] if replaced else [n - 1]), f"round {n}, replaced: {replaced}"
            moments.timed(lambda: ws.run("add", "--replace", "--yes", path))
            ws.run("ingest", "d", "--stdin", data=records([n]))
        assert seen == {True, False}, f"the kills all met one side: {seen}"
        ws.run("add", "--replace", "--yes", path)
        ws.check_sound()
        ws.check_clean()
        for folder in ("datasets", "keys", "derived"):
            names = os.listdir(os.path.join(ws.home, folder))
            assert len(names) == 2, f"{names} in {folder}"


def index_build_killed_starts_over():
    with Workspace() as ws:
        ws.add("d", LEDGER)
        big = ws.write("big", records(range(250_000)))
        ws.run("ingest", "d", big, timeout=60)
        index = os.path.join(ws.home, "index")
        moments = Moments()
        next_key = 250_000
        for i in range(12):
            if i % 3 == 0:
                ws.run("system", "path", "d")
                for folder, _, names in os.walk(index, topdown=False):
                    for name in names:
                        os.remove(os.path.join(folder, name))
            path = ws.write("small", records([3, 100_000, 249_999, next_key]))
            ws.kill_after(dice.uniform(0, 1.1 * moments.longest), "ingest", "d", path)
            if i % 3 == 2:
                moments.timed(lambda: ws.run("ingest", "d", path))
                next_key += 1
        ws.run("ingest", "d", "--stdin", data=records([0, 99_999, next_key]))
        count = ws.run("sql", "-o", "csv", "-c", 'select count(*), count(distinct k) from "d"').out.split()[-1].decode()
        assert count == f"{next_key + 1},{next_key + 1}", count
        ws.run("verify", "d")
        ws.check_clean()


def reset_killed_is_done_or_not():
    with Workspace() as ws:
        ws.add("d", LEDGER)
        moments = Moments()
        ws.run("ingest", "d", "--stdin", data=records(range(10)))
        for n in range(15):
            old = ws.head("d")
            ws.run("ingest", "d", "--stdin", data=records(range(5, 15 + n)))
            new = ws.head("d")
            ws.kill_after(moments.next(), "reset", "d", old, "--yes")
            assert ws.head("d") in (old, new)
            if ws.head("d") == old:
                assert len(ws.rows("d")) == 10
            moments.timed(lambda: ws.run("reset", "d", old, "--yes"))
            assert [r["k"] for r in ws.rows("d")] == list(range(10))
        # What the reset took away is new again.
        ws.run("ingest", "d", "--stdin", data=records(range(30)))
        assert [r["k"] for r in ws.rows("d")] == list(range(30))
        ws.check_sound("d")
        ws.check_clean()


def ingest_killed_then_reset_forgets_its_keys():
    """The index may have taken in rows of a commit whose head it does not name yet; a reset to before must not meet them."""
    with Workspace() as ws:
        ws.add("d", LEDGER)
        moments = Moments()
        ws.run("ingest", "d", "--stdin", data=records(range(10)))
        base = ws.head("d")
        many = ws.write("many", records(range(10, 60_000)))
        moments.timed(lambda: ws.run("ingest", "d", many))
        ws.run("reset", "d", base, "--yes")
        ws.run("ingest", "d", "--stdin", data=records(range(10)))
        for _ in range(15):
            ws.kill_after(dice.uniform(0.5, 1.05) * moments.longest, "ingest", "d", many)
            ws.run("reset", "d", base, "--yes")
            sample = [10, 11, 30_000, 59_999]
            ws.run("ingest", "d", "--stdin", data=records(sample))
            assert [r["k"] for r in ws.rows("d")] == [*range(10), *sample]
            ws.run("reset", "d", base, "--yes")
        ws.check_sound("d")
        ws.check_clean()


if __name__ == "__main__":
    print(f"seed {SEED} (SLUICE_SEED repeats it)")
    main([append_survives_a_hundred_kills, ledger_survives_a_hundred_kills, upserts_see_the_latest_rows_after_kills,
          compaction_killed_keeps_every_row, add_killed_makes_all_or_nothing, replace_killed_keeps_the_old_or_has_the_new, index_build_killed_starts_over,
          reset_killed_is_done_or_not, ingest_killed_then_reset_forgets_its_keys])
