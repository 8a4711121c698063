"""Clients of a node that note what was promised to them, and the book in which that stands.

Each makes records that nobody else makes, sends them until they are acknowledged, repeats them as real clients do, and tells
at once when an answer cannot be right. What the node's death left open may be there or not, but whole and once.
"""
import asyncio
import json
import random

ODD_SHARE, REPEAT_SHARE = 0.01, 0.3
PATIENCE = 20  # for one answer: a node that is silent longer is taken for lost, and asked again
KEPT = 300  # batches that a client may repeat


class Wrong(AssertionError):
    """An answer, or a stored record, that cannot be."""


class Lost(Exception):
    """No answer: the batch was taken, or not."""


class Batch:
    def __init__(self, number, records):
        self.number, self.records = number, records
        self.receipt = self.block = None

    @property
    def body(self):
        return "".join(json.dumps({"event_time": "2024-01-01T00:00:00Z", "k": k, "v": v}) + "\n" for k, v in self.records).encode()


class Book:
    """Who was promised what: dataset -> batches."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.next_record = self.next_batch = 0
        self.must, self.may = {}, {}
        self.receipts = {}  # -> batch
        self.answers = {}  # how often each status was seen
        self.stopping = False

    def batch(self, dataset, most=4):
        records = []
        for _ in range(self.dice.randint(1, most)):
            self.next_record += 1
            records.append((self.next_record, f"{self.next_record}:{self.dice.getrandbits(64):x}"))
        self.next_batch += 1
        batch = Batch(self.next_batch, records)
        self.may.setdefault(dataset, {})[batch.number] = batch
        return batch

    def promise(self, dataset, batch):
        if self.may[dataset].pop(batch.number, None):
            self.must.setdefault(dataset, {})[batch.number] = batch

    def never(self, dataset, batch):
        """Refused for good: not a record of it may be stored."""
        self.may[dataset].pop(batch.number, None)

    def count(self, what):
        self.answers[what] = self.answers.get(what, 0) + 1

    def check(self, dataset, rows):
        """`rows`: (k, v) of everything that is stored."""
        stored = {}
        for k, v in rows:
            if k in stored:
                raise Wrong(f"record {k} of '{dataset}' is stored twice")
            stored[k] = v
        for batch in self.must.get(dataset, {}).values():
            for k, v in batch.records:
                if stored.pop(k, None) != v:
                    raise Wrong(f"record {k} of '{dataset}' was acknowledged (batch {batch.number}, receipt {batch.receipt}, block "
                                f"{batch.block}) and is not stored, or changed")
        for batch in self.may.get(dataset, {}).values():
            there = [stored.pop(k, None) == v for k, v in batch.records]
            if any(there) and not all(there):
                raise Wrong(f"batch {batch.number} of '{dataset}' is stored in part: {there}")
        if stored:
            raise Wrong(f"'{dataset}' holds {len(stored)} records that nobody wrote: {list(stored.items())[:5]}")


class Client:
    def __init__(self, book, node, dataset, source=None):
        self.book, self.node, self.dataset, self.source = book, node, dataset, source
        self.dice = random.Random(book.dice.random())
        self.reader = self.writer = None

    async def run(self):
        try:
            while not self.book.stopping:
                await self.step()
        finally:
            self.hang_up()

    def hang_up(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def ask(self, method, path, headers=(), body=None):
        """(status, JSON, headers). Raises Lost."""
        try:
            return await asyncio.wait_for(self.exchange(method, path, headers, body), PATIENCE)
        except (OSError, EOFError, ValueError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            self.hang_up()
            self.book.count("lost")
            raise Lost(repr(error)) from None
        except asyncio.CancelledError:
            self.hang_up()
            raise

    async def exchange(self, method, path, headers, body):
        if not self.writer:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.node.port)
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in dict(headers).items())]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status = int(head[0].split()[1])
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        content = await self.reader.readexactly(int(fields.get("content-length", 0)))
        if fields.get("connection", "").lower() == "close":
            self.hang_up()
        self.book.count(status)
        return status, json.loads(content), fields

    async def post(self, batch, headers):
        source = f"?sourceName={self.source}" if self.source else ""
        return await self.ask("POST", f"/{self.dataset}/ingest{source}", headers, batch.body)

    async def deliver(self, batch, headers, may_be_refused=()):
        """Sends until it is acknowledged. Returns (status, JSON), or nothing when the end came first."""
        waits = 0
        while True:
            try:
                status, told, fields = await self.post(batch, headers)
            except Lost:
                status, told, fields = 0, None, {}
            if status in (200, 202):
                self.acknowledge(batch, status, told)
                return status, told
            if status in may_be_refused:
                return status, told
            if status not in (0, 408, 429, 503):
                raise Wrong(f"{self}: {status} to batch {batch.number} with {headers}: {told}")
            if status in (429, 503) and "retry-after" not in fields:
                raise Wrong(f"{status} without Retry-After: {told}")
            waits += 1
            if waits > 2000 or (self.book.stopping and waits > 200):
                raise Wrong(f"{self}: no end of {status}: {told}")
            await asyncio.sleep(self.dice.uniform(0.01, 0.1))

    def acknowledge(self, batch, status, told):
        if status == 202:
            if told["status"] != "queued":
                raise Wrong(f"202 says {told}")
            self.note_receipt(batch, told["receipt"])
        else:
            if told["status"] not in ("committed", "duplicate", "up-to-date"):
                raise Wrong(f"200 says {told}")
            if told["blockHash"]:
                if batch.block and batch.block != told["blockHash"]:
                    raise Wrong(f"batch {batch.number} was committed in {batch.block}, and now in {told}")
                batch.block = told["blockHash"]
        self.book.promise(self.dataset, batch)

    def note_receipt(self, batch, receipt):
        if batch.receipt and batch.receipt != receipt:
            raise Wrong(f"batch {batch.number} had receipt {batch.receipt}, and now {receipt}")
        batch.receipt = receipt
        self.book.receipts[receipt] = batch

    async def repeat(self, batch, headers):
        """What was acknowledged is told as a duplicate, by whatever process."""
        try:
            status, told, _ = await self.post(batch, headers)
        except Lost:
            return
        if status == 503:
            return
        if status == 200 and told["status"] != "duplicate":
            raise Wrong(f"{self}: batch {batch.number} was acknowledged, and its repeat with {headers} is {told}")
        if status not in (200, 202):
            raise Wrong(f"{self}: {status} to the repeat of batch {batch.number} with {headers}: {told}")
        self.acknowledge(batch, status, told)

    def __repr__(self):
        return f"{type(self).__name__}({self.dataset}, {self.source})"


class KeyClient(Client):
    """Keeps no state: a key for each batch."""

    def __init__(self, *args):
        super().__init__(*args)
        self.done = []

    async def step(self):
        batch = self.book.batch(self.dataset)
        headers = {"Idempotency-Key": f"key-{batch.number}"}
        if self.dice.random() < 0.5:
            headers["Prefer"] = "respond-async"
        await self.deliver(batch, headers)
        self.done = [*self.done[-KEPT:], (batch, headers)]
        if self.dice.random() < REPEAT_SHARE:
            again, headers = self.dice.choice(self.done)
            headers = {**headers}
            if self.dice.random() < 0.5:
                headers.pop("Prefer", None)
            await self.repeat(again, headers)
        if self.dice.random() < ODD_SHARE:
            await self.misuse_key()

    async def misuse_key(self):
        _, headers = self.dice.choice(self.done)
        other = self.book.batch(self.dataset)
        try:
            status, told, _ = await self.post(other, headers)
        except Lost:
            status, told = 503, None
        if status not in (422, 503):
            raise Wrong(f"{self}: {status} to a key of other content: {told}")
        self.book.never(self.dataset, other)


class StateClient(Client):
    """The only one of its source: its state is what it was last told, whatever dies in between."""

    def __init__(self, *args):
        super().__init__(*args)
        self.number = 0
        self.committed = 0

    async def step(self):
        batch = self.book.batch(self.dataset)
        headers = {"ODF-If-Source-State": self.number or "*", "ODF-Source-State": self.number + 1}
        if self.dice.random() < 0.5:
            headers["Prefer"] = "respond-async"
        if self.dice.random() < 0.3:
            headers["Idempotency-Key"] = f"key-{batch.number}"
        await self.deliver(batch, headers)
        self.number += 1
        if self.dice.random() < REPEAT_SHARE:
            await self.repeat(batch, headers)
        if self.dice.random() < 0.2:
            await self.look()

    async def look(self):
        try:
            status, told, _ = await self.ask("GET", f"/{self.dataset}/sources/{self.source}/state")
        except Lost:
            return
        if status == 503:
            return
        accepted, committed = (int(told["accepted"]), int(told["committed"] or 0)) if status == 200 else (0, 0)
        if accepted != self.number or not self.committed <= committed <= accepted:
            raise Wrong(f"{self}: acknowledged {self.number}, committed {self.committed}, and now it is {status}: {told}")
        self.committed = committed


class RaceClient(Client):
    """One of several on one source: whoever comes late is told where the source stands."""

    def __init__(self, book, node, dataset, source, name):
        super().__init__(book, node, dataset, source)
        self.name = name
        self.state = "*"
        self.seen = 0

    async def step(self):
        batch = self.book.batch(self.dataset)
        number = 0 if self.state == "*" else int(self.state.split("-")[0])
        following = f"{number + 1}-{self.name}-{batch.number}"
        headers = {"ODF-If-Source-State": self.state, "ODF-Source-State": following}
        if self.dice.random() < 0.3:
            headers["Prefer"] = "respond-async"
        status, told = await self.deliver(batch, headers, may_be_refused=(412,))
        if status == 412:  # its batch may have come in before the answer was lost, and somebody else after it
            following = told["accepted"] or "*"
        self.state = following
        now = 0 if following == "*" else int(following.split("-")[0])
        if now < self.seen:
            raise Wrong(f"{self}: the state went back from {self.seen} to {following}")
        self.seen = now


class LedgerClient(Client):
    """Neither key nor state: its records have primary keys."""

    async def step(self):
        batch = self.book.batch(self.dataset, 3)
        await self.deliver(batch, {"Prefer": "respond-async"} if self.dice.random() < 0.5 else {})
        batch.receipt = None  # a repeat is another batch here
        if self.dice.random() < REPEAT_SHARE:
            batch.block = None
            try:
                status, told, _ = await self.post(batch, {})
            except Lost:
                return
            if status == 200 and told["status"] != "up-to-date" and batch.receipt is None:
                # The first may wait in the queue still; then this one brought the records.
                if told["status"] != "committed":
                    raise Wrong(f"{self}: {told} to a repeat")
            elif status not in (200, 503):
                raise Wrong(f"{self}: {status} to a repeat: {told}")

    def acknowledge(self, batch, status, told):
        batch.receipt = batch.block = None
        super().acknowledge(batch, status, told)
