#!/usr/bin/env python3
"""The key index lost, stale, ahead of the chain or damaged: the rows that follow are right all the same."""
import os
import random
import shutil
import time

from harness import EXIT_CORRUPT, LEDGER, SNAPSHOT, UPSERT, Workspace, live, main, record, records

SEED = int(os.environ.get("SLUICE_SEED", time.time_ns() % 1_000_000))
STRATEGIES = {"Ledger": LEDGER, "Snapshot": SNAPSHOT, "UpsertStream": UPSERT}


def after(strategy, state, batch):
    """What a batch makes of the state, by the rules alone."""
    if strategy == "Ledger":
        return {**batch, **state}
    return dict(batch) if strategy == "Snapshot" else {**state, **batch}


class Model:
    """A dataset beside what it should hold at each of its heads."""

    def __init__(self, ws, strategy):
        self.ws, self.strategy = ws, strategy
        ws.add("d", STRATEGIES[strategy])
        self.states = {ws.head("d"): {}}
        self.order = [ws.head("d")]
        self.keep = {}

    @property
    def index(self):
        return os.path.join(self.ws.home, "index")

    def state(self):
        return self.states[self.ws.head("d")]

    def ingest(self, batch, *options):
        before = self.state()
        self.ws.run("ingest", "d", "--stdin", *options, data="".join(record(k, v) for k, v in batch.items()).encode())
        head = self.ws.head("d")
        if head not in self.states or head != self.order[-1]:
            self.order.append(head)
        self.states[head] = after(self.strategy, before, {k: str(v) for k, v in batch.items()})
        return head

    def check(self):
        got, expected = live(self.ws.rows("d")), self.state()
        assert got == expected, f"{self.strategy}: have {got}, expected {expected}"

    def reset(self, head):
        self.ws.run("reset", "d", head, "--yes")
        del self.order[self.order.index(head) + 1:]

    def save(self, name, folder=None):
        target = os.path.join(self.ws.folder, "saved-" + name)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder or self.index, target)

    def restore(self, name, folder=None):
        shutil.rmtree(folder or self.index, ignore_errors=True)
        shutil.copytree(os.path.join(self.ws.folder, "saved-" + name), folder or self.index)


FIRST = {k: f"a{k}" for k in range(10)}
SECOND = {k: f"b{k}" for k in range(5, 15)}
THIRD = {k: f"c{k}" for k in range(12, 20)}
FOURTH = {k: f"d{k}" for k in range(3, 25, 2)}


def three_batches(ws, strategy):
    model = Model(ws, strategy)
    heads = []
    for i, batch in enumerate((FIRST, SECOND, THIRD)):
        heads.append(model.ingest(batch))
        model.save(f"index{i}")
        model.save(f"data{i}", ws.path("d"))
    return model, heads


def lost(model, _):
    shutil.rmtree(model.index)


def stale(model, _):
    model.restore("index0")


def ahead_after_reset(model, heads):
    model.reset(heads[0])


def restored_newer_after_reset(model, heads):
    model.reset(heads[0])
    model.ingest({100: "x"})
    model.reset(heads[0])
    model.restore("index2")


def ahead_of_an_older_copy_of_the_dataset(model, heads):
    model.restore("data0", model.ws.path("d"))
    del model.order[model.order.index(heads[0]) + 1:]


def from_another_branch(model, heads):
    model.reset(heads[0])
    model.ingest({7: "branch", 12: "branch", 200: "branch"})
    model.save("branch")
    model.reset(heads[0])
    model.ingest(SECOND)
    model.restore("branch")


def written_by_others(model, _):
    """Another program commits: the index hears nothing of it."""
    model.save("unaware")
    model.ingest({k: "others" for k in (1, 17, 30)})
    model.restore("unaware")


def stale_after_compaction(model, _):
    model.ws.run("system", "compact", "--hard", "d", "--yes")
    model.states[model.ws.head("d")] = model.states[model.order[-1]]
    model.order = [model.ws.head("d")]
    model.restore("index1")


def derived_lost(model, _):
    shutil.rmtree(os.path.join(model.ws.home, "derived"))


def derived_and_index_lost(model, _):
    shutil.rmtree(os.path.join(model.ws.home, "derived"))
    shutil.rmtree(model.index)


def derived_garbage(model, _):
    for folder, _, names in os.walk(os.path.join(model.ws.home, "derived")):
        for name in names:
            with open(os.path.join(folder, name), "wb") as file:
                file.write(os.urandom(300))


def every_trouble_leaves_the_next_batch_right():
    for strategy in STRATEGIES:
        for trouble in (lost, stale, ahead_after_reset, restored_newer_after_reset, ahead_of_an_older_copy_of_the_dataset,
                        from_another_branch, written_by_others, stale_after_compaction, derived_lost, derived_and_index_lost,
                        derived_garbage):
            def case(strategy=strategy, trouble=trouble):
                with Workspace() as ws:
                    model, heads = three_batches(ws, strategy)
                    trouble(model, heads)
                    model.ingest(FOURTH)
                    model.check()
                    model.ingest({**FIRST, **SECOND, 50: "last"})
                    model.check()
                    ws.run("verify", "d")
            yield f"{strategy}, {trouble.__name__}", case


def same_blocks_again_after_reset():
    """With a frozen clock a repeated commit is the same block, and the index that names it is right."""
    with Workspace() as ws:
        model = Model(ws, "Ledger")
        frozen = ("--system-time", "2090-01-01T00:00:00Z", "--event-time", "2024-01-01T00:00:00Z")
        base = model.ingest(FIRST, *frozen)
        there = model.ingest(SECOND, *frozen)
        model.save("there")
        model.reset(base)
        model.ingest(THIRD, *frozen)
        model.reset(base)
        assert model.ingest(SECOND, *frozen) == there
        model.restore("there")
        model.ingest(FOURTH, *frozen)
        model.check()


def damage(path, how, dice):
    with open(path, "rb") as file:
        content = bytearray(file.read())
    if how == "emptied":
        content = bytearray()
    elif how == "cut":
        content = content[:len(content) // 2]
    elif how == "garbage":
        content = bytearray(os.urandom(max(64, len(content))))
    elif content:
        for _ in range(4):
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    with open(path, "wb") as file:
        file.write(content)


def data_of(rows):
    return [{k: v for k, v in row.items() if k != "system_time"} for row in rows]


def damaged_index_files():
    """Rebuilt, or refused with a clear error until the index is deleted; wrong rows never."""
    dice = random.Random(SEED)
    for how in ("emptied", "cut", "garbage", "bits", "missing"):
        def case(how=how):
            with Workspace() as ws:
                model, _ = three_batches(ws, "Ledger")
                model.save("whole")
                for name in sorted(os.listdir(model.index)):
                    if name in ("LOCK", "LOG") or name.startswith("LOG."):
                        continue
                    model.restore("whole")
                    path = os.path.join(model.index, name)
                    if not os.path.exists(path):
                        continue  # merged into another file meanwhile
                    os.remove(path) if how == "missing" else damage(path, how, dice)
                    key = dice.randrange(1000, 1_000_000)
                    batch = {**FIRST, 13: "again", key: "new"}
                    before = ws.head("d")
                    done = ws.run("ingest", "d", "--stdin", code=(0, EXIT_CORRUPT),
                                  data="".join(record(k, v) for k, v in batch.items()).encode())
                    if done.code:
                        assert b"index" in done.err, done
                        assert ws.head("d") == before
                        shutil.rmtree(model.index)
                    # Taken in spite of the damage: the same batch again, after going back, must come to the same rows.
                    taken = None if done.code else data_of(ws.rows("d"))
                    if taken is not None:
                        ws.run("reset", "d", before, "--yes")
                    model.ingest(batch)
                    model.check()
                    assert taken is None or taken == data_of(ws.rows("d")), name
                    model.save("whole")
        yield how, case


def random_walk():
    """Any order of commits, resets, and indexes that come back from the past or the future."""
    for strategy in STRATEGIES:
        def case(strategy=strategy):
            dice = random.Random(f"{SEED} {strategy}")
            with Workspace() as ws:
                model = Model(ws, strategy)
                saved = 0
                for step in range(35):
                    act = dice.choice(["ingest"] * 6 + ["reset"] * 3 + ["save"] * 2 + ["restore"] * 3 + ["lose", "forget", "kill"])
                    if act == "ingest":
                        model.ingest({k: f"{step}/{k}" for k in dice.sample(range(25), dice.randrange(1, 10))})
                    elif act == "reset":
                        model.reset(dice.choice(model.order))
                    elif act == "save" and os.path.exists(model.index):
                        model.save(f"walk{saved}")
                        saved += 1
                    elif act == "restore" and saved:
                        model.restore(f"walk{dice.randrange(saved)}")
                    elif act == "lose":
                        shutil.rmtree(model.index, ignore_errors=True)
                    elif act == "forget":
                        shutil.rmtree(os.path.join(ws.home, "derived"), ignore_errors=True)
                    elif act == "kill":
                        batch = {k: f"{step}/{k}" for k in dice.sample(range(25), 5)}
                        before, state = ws.head("d"), model.state()
                        ws.kill_after(dice.uniform(0, 0.12), "ingest", "d",
                                      ws.write("batch", "".join(record(k, v) for k, v in batch.items())))
                        if ws.head("d") != before:
                            model.order.append(ws.head("d"))
                            model.states[ws.head("d")] = after(strategy, state, batch)
                    model.check()
                ws.check_sound("d")
                ws.check_clean()
        yield strategy, case


def two_sources_share_one_index():
    """A source that was disabled and comes back finds what others committed meanwhile."""
    with Workspace() as ws:
        ws.add("d", LEDGER)
        other = ws.write("other.yaml", """kind: AddPushSource
sourceName: other
read:
  kind: NdJson
  schema:
    fields:
      - {name: event_time, type: Timestamp}
      - {name: k, type: Int64}
      - {name: v, type: String}
merge: {kind: Ledger, primaryKey: [k]}
""")
        ws.run("source", "add", "d", other)
        ws.run("ingest", "d", "--stdin", "--source-name", "default", data=records(range(5)))
        ws.run("ingest", "d", "--stdin", "--source-name", "other", data=records(range(3, 8)))
        ws.run("source", "disable", "d", "default")
        ws.run("ingest", "d", "--stdin", "--source-name", "other", data=records(range(6, 12)))
        again = ws.run("source", "add", "d", ws.write("default.yaml", open(other, encoding="utf-8").read().replace(": other", ": default")))
        assert again.code == 0
        ws.run("ingest", "d", "--stdin", "--source-name", "default", data=records(range(15)))
        assert sorted(r["k"] for r in ws.rows("d")) == list(range(15))
        ws.check_sound("d")


def keys_that_do_not_fit_in_memory():
    """A Ledger batch whose keys go to disk on the way is merged like any other, and leaves nothing behind."""
    with Workspace() as ws:
        ws.add("d", LEDGER)
        count = 700_000
        lines = [f'{{"event_time":"2024-01-01T00:00:00Z","k":{k},"v":"x"}}\n' for k in range(count)]
        random.Random(SEED).shuffle(lines)
        batch = "".join(lines + lines[:1000]).encode()
        first = ws.run("ingest", "d", "--stdin", "--memory-mib", "16", data=batch)
        assert f"{count} added".encode() in first.err and b"1000 record(s) repeat a key" in first.err, first
        again = ws.run("ingest", "d", "--stdin", "--memory-mib", "16", data=batch)
        assert b"Dataset up-to-date" in again.err, again
        assert not ws.leftovers(), ws.leftovers()
        ws.check_sound("d")


if __name__ == "__main__":
    print(f"seed {SEED} (SLUICE_SEED repeats it)")
    main([every_trouble_leaves_the_next_batch_right, same_blocks_again_after_reset, damaged_index_files, random_walk,
          two_sources_share_one_index, keys_that_do_not_fit_in_memory])
