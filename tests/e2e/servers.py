"""Foreign servers that integration tests start for themselves: loopback, a free port, a temporary folder, ended with the object.

tools/setup --integration installs them; a test whose server is missing fails.
"""
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from harness import DEPS


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postgres:
    """Debian's PostgreSQL with a role `tester`, password `secret`, that owns a schema of its name."""

    def __init__(self, settings=""):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        assert found, "PostgreSQL is missing: tools/setup --integration installs it"
        self.programs = os.path.dirname(found[-1])
        self.folder = tempfile.mkdtemp(prefix="sluice-postgres-")
        self.prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.prefix:
            shutil.chown(self.folder, "postgres")
        self.port, self.settings = free_port(), settings
        self._do("initdb", "-D", self.folder + "/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._do_shell(f"printf 'host all tester 127.0.0.1/32 scram-sha-256\\nhost all postgres 127.0.0.1/32 trust\\n"
                       f"local all all trust\\n' > {self.folder}/data/pg_hba.conf")
        self.start()
        self.sql("CREATE ROLE tester LOGIN PASSWORD 'secret'; CREATE SCHEMA AUTHORIZATION tester", user="postgres")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(self.prefix + [self.programs + "/pg_ctl", "-D", self.folder + "/data", "-m", "immediate", "stop"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _do(self, program, *args):
        done = subprocess.run(self.prefix + [os.path.join(self.programs, program), *args], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False, cwd="/")
        assert done.returncode == 0, done.stdout.decode(errors="replace")

    def _do_shell(self, text):
        subprocess.run(self.prefix + ["sh", "-c", text], check=True, cwd="/")

    def start(self):
        # Without a pipe: the server would hold its end.
        with open("/dev/null", "r+b") as null:
            options = f"-p {self.port} -k {self.folder}/data -c listen_addresses=127.0.0.1 {self.settings}"
            subprocess.run(self.prefix + [self.programs + "/pg_ctl", "-D", self.folder + "/data", "-w", "-t", "60", "-l",
                                          self.folder + "/data/server.log", "-o", options, "start"],
                           stdin=null, stdout=null, stderr=null, timeout=90, check=True, cwd="/")

    def crash(self):
        """As when the machine loses power."""
        self._do("pg_ctl", "-D", self.folder + "/data", "-w", "-m", "immediate", "stop")

    def uri(self, password="secret"):
        return f"postgres://tester:{password}@127.0.0.1:{self.port}/postgres"

    def sql(self, statements, user="tester"):
        uri = self.uri() if user == "tester" else f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        done = subprocess.run([self.programs + "/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", uri, "-c", statements],
                              capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode().strip()


class _SqsServer:
    """What ElasticMQ and moto have in common: the JSON protocol of SQS, asked without a library."""

    def call(self, action, check=True, **request):
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS." + action,
                   "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, "
                                    "Signature=0"}
        asked = urllib.request.Request(self.url + "/", json.dumps(request).encode(), headers)
        try:
            with urllib.request.urlopen(asked, timeout=40) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            body = error.read().decode(errors="replace")
            assert not check, f"{action}: {error.code} {body}"
            return {"error": body}

    def make_queue(self, name, **attributes):
        if name.endswith(".fifo"):
            attributes["FifoQueue"] = "true"
        return self.call("CreateQueue", QueueName=name, Attributes={k: str(v) for k, v in attributes.items()})["QueueUrl"]

    def send(self, queue, bodies, group=None):
        for start in range(0, len(bodies), 10):
            entries = []
            for i, body in enumerate(bodies[start:start + 10]):
                entry = {"Id": str(i), "MessageBody": body}
                if group is not None:
                    entry |= {"MessageGroupId": group, "MessageDeduplicationId": f"{group}-{start + i}"}
                entries.append(entry)
            answer = self.call("SendMessageBatch", QueueUrl=queue, Entries=entries)
            assert not answer.get("Failed"), answer

    def receive(self, queue, visibility=60):
        """Everything that can be seen."""
        bodies = []
        while True:
            got = self.call("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0,
                            VisibilityTimeout=visibility).get("Messages") or []
            bodies += [message["Body"] for message in got]
            if not got:
                return bodies

    def counts(self, queue):
        """(to be seen, held by somebody)"""
        attributes = self.call("GetQueueAttributes", QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"]), int(attributes["ApproximateNumberOfMessagesNotVisible"])

    def _await(self, seconds=60):
        for _ in range(int(seconds / 0.1)):
            assert self.process.poll() is None, open(self.log, encoding="utf-8", errors="replace").read()
            try:
                self.call("ListQueues")
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("does not answer: " + open(self.log, encoding="utf-8", errors="replace").read())

    def _launch(self, command, environment=None):
        self.log = os.path.join(self.folder, "server.log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(environment or {})})
        self._await()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class ElasticMq(_SqsServer):
    VERSION = "1.6.9"

    def __init__(self):
        jars = os.path.join(DEPS, "elasticmq-" + self.VERSION)
        assert os.path.isdir(jars) and shutil.which("java"), "ElasticMQ is missing: tools/setup --integration installs it"
        self.folder = tempfile.mkdtemp(prefix="sluice-elasticmq-")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = os.path.join(self.folder, "elasticmq.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"""include classpath("application.conf")
node-address {{ protocol = http, host = "127.0.0.1", port = {self.port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-port = {self.port}, bind-hostname = "127.0.0.1", sqs-limits = strict }}
rest-stats {{ enabled = false }}
""")
        self._launch(["java", "-Xmx1g", "-Dconfig.file=" + config, "-cp", jars + "/*", "org.elasticmq.server.Main"])


class Moto(_SqsServer):
    """Takes every call, and after make_user() only those that are signed and allowed."""

    def __init__(self):
        program = os.path.join(DEPS, "python-servers", "bin", "moto_server")
        assert os.path.exists(program), "moto is missing: tools/setup --integration installs it"
        self.folder = tempfile.mkdtemp(prefix="sluice-moto-")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._launch([program, "-H", "127.0.0.1", "-p", str(self.port)])

    def make_user(self, actions):
        """An access key and its secret, with the right to these actions; from then on every call is checked."""
        def iam(action, **parameters):
            form = urllib.parse.urlencode({"Action": action, "Version": "2010-05-08", **parameters}).encode()
            headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, "
                                        "Signature=0", "Content-Type": "application/x-www-form-urlencoded"}
            with urllib.request.urlopen(urllib.request.Request(self.url + "/", form, headers), timeout=20) as answer:
                return answer.read().decode()

        iam("CreateUser", UserName="sluice")
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        iam("PutUserPolicy", UserName="sluice", PolicyName="p", PolicyDocument=json.dumps(policy))
        made = iam("CreateAccessKey", UserName="sluice")
        key = made.split("<AccessKeyId>")[1].split("<")[0]
        secret = made.split("<SecretAccessKey>")[1].split("<")[0]
        asked = urllib.request.Request(self.url + "/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
        with urllib.request.urlopen(asked, timeout=20):
            pass
        return key, secret
