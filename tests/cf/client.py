"""Speaks with services that have no client of their own: client.py OFFERING write|read|remove, credentials on stdin.

`write` stores the word `one` for good, `read` prints it or nothing (`empty` for a queue without it), `remove` takes it
away. An answer that is not
expected, such as a refused login, ends with a line on stderr and status 1.
"""

import base64
import json
import socket
import struct
import sys


class Refused(Exception):
    """The server said no."""


class Missing(Refused):
    """What was asked for is not there."""


class Lines:
    """A connection whose protocol is lines."""

    def __init__(self, service):
        self.socket = socket.create_connection((service["host"], service["port"]), timeout=10)
        self.stream = self.socket.makefile("rwb")

    def say(self, text):
        self.stream.write(text.encode())
        self.stream.flush()

    def line(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise Refused("the server ended the connection")
        return line[:-2].decode()


class Memcached:
    def __init__(self, service):
        self.lines = Lines(service)

    def expect(self, text, *answers):
        self.lines.say(text)
        answer = self.lines.line()
        if answer not in answers:
            raise Refused(answer)
        return answer

    def write(self):
        self.expect("set v 0 0 3\r\none\r\n", "STORED")

    def read(self):
        if self.expect("get v\r\n", "VALUE v 0 3", "END") == "END":
            return ""
        return self.lines.line()

    def remove(self):
        self.expect("delete v\r\n", "DELETED", "NOT_FOUND")


class Nats:
    """A stream of JetStream: its interface are subjects with answers."""

    def __init__(self, service):
        self.lines = Lines(service)
        self.lines.line()
        login = {"user": service["username"], "pass": service["password"], "verbose": False, "pedantic": False}
        self.lines.say(f"CONNECT {json.dumps(login)}\r\nSUB inbox 1\r\nPING\r\n")
        while (line := self.lines.line()) != "PONG":
            if line.startswith("-ERR"):
                raise Refused(line)

    def ask(self, subject, body="", missing=None):
        self.lines.say(f"PUB {subject} inbox {len(body)}\r\n{body}\r\n")
        while not (line := self.lines.line()).startswith(("MSG", "HMSG", "-ERR")):
            if line == "PING":
                self.lines.say("PONG\r\n")
        if line.startswith("-ERR") or line.startswith("HMSG"):
            raise Refused(line)
        answer = json.loads(self.lines.stream.read(int(line.split()[-1]) + 2))
        error = answer.get("error")
        if error and error["description"] != missing:
            raise Refused(error["description"])
        return answer

    def write(self):
        self.ask("$JS.API.STREAM.CREATE.kept", json.dumps({"name": "kept", "subjects": ["v"], "storage": "file"}))
        self.ask("v", "one")

    def read(self):
        missing = "stream not found"
        state = self.ask("$JS.API.STREAM.INFO.kept", missing=missing).get("state", {"messages": 0})
        if not state["messages"]:
            return ""
        last = self.ask("$JS.API.STREAM.MSG.GET.kept", json.dumps({"last_by_subj": "v"}))
        return base64.b64decode(last["message"]["data"]).decode()

    def remove(self):
        self.ask("$JS.API.STREAM.DELETE.kept")


def short(text):
    return struct.pack(">B", len(text)) + text.encode()


class RabbitMq:
    """A durable queue with a persistent message: AMQP 0-9-1 as far as that goes."""

    START, TUNE, OPENED, CLOSED = (10, 10), (10, 30), (10, 41), [(10, 50), (20, 40)]
    CHANNEL, DECLARED, DELETED, CONFIRMS = (20, 11), (50, 11), (50, 41), (85, 11)
    ACK, GOT, EMPTY = (60, 80), (60, 71), (60, 72)

    def __init__(self, service):
        self.socket = socket.create_connection((service["host"], service["port"]), timeout=10)
        self.stream = self.socket.makefile("rwb")
        self.stream.write(b"AMQP\x00\x00\x09\x01")
        self.answer(self.START)
        login = f"\0{service['username']}\0{service['password']}".encode()
        fields = struct.pack(">I", 0) + short("PLAIN") + struct.pack(">I", len(login)) + login + short("en_US")
        limits = self.ask(0, (10, 11), fields, self.TUNE)[1][:6]
        self.method(0, (10, 31), limits + struct.pack(">H", 0))
        self.ask(0, (10, 40), short(service["vhost"]) + short("") + b"\0", self.OPENED)
        self.ask(1, (20, 10), short(""), self.CHANNEL)

    def frame(self, kind, channel, payload):
        self.stream.write(struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce")

    def method(self, channel, number, fields):
        self.frame(1, channel, struct.pack(">HH", *number) + fields)

    def received(self):
        self.stream.flush()
        head = self.stream.read(7)
        if len(head) < 7:
            raise Refused("the server ended the connection")
        payload = self.stream.read(struct.unpack(">BHI", head)[2] + 1)
        return payload[:-1]

    def answer(self, *expected):
        payload = self.received()
        number = struct.unpack(">HH", payload[:4])
        if number in expected:
            return number, payload[4:]
        if number in self.CLOSED:
            code, length = struct.unpack(">HB", payload[4:7])
            raise (Missing if code == 404 else Refused)(payload[7 : 7 + length].decode())
        raise Refused(f"the server said {number}")

    def ask(self, channel, number, fields, *expected):
        self.method(channel, number, fields)
        return self.answer(*expected)

    def declare(self):
        self.ask(1, (50, 10), struct.pack(">H", 0) + short("kept") + b"\x02" + struct.pack(">I", 0), self.DECLARED)

    def write(self):
        self.declare()
        self.ask(1, (85, 10), b"\0", self.CONFIRMS)
        self.method(1, (60, 40), struct.pack(">H", 0) + short("") + short("kept") + b"\0")
        self.frame(2, 1, struct.pack(">HHQHB", 60, 0, 3, 0x1000, 2))
        self.frame(3, 1, b"one")
        self.answer(self.ACK)

    def read(self):
        """The message goes back into the queue when the connection ends."""
        try:
            number, _ = self.ask(1, (60, 70), struct.pack(">H", 0) + short("kept") + b"\0", self.GOT, self.EMPTY)
        except Missing:
            return ""
        if number == self.EMPTY:
            return "empty"
        self.received()
        return self.received().decode()

    def remove(self):
        self.ask(1, (50, 40), struct.pack(">H", 0) + short("kept") + b"\0", self.DELETED)


if __name__ == "__main__":
    offering, action = sys.argv[1:]
    try:
        client = {"memcached": Memcached, "nats": Nats, "rabbitmq": RabbitMq}[offering](json.load(sys.stdin))
        print(getattr(client, action)() or "")
    except (Refused, OSError) as error:
        sys.exit(f"{offering}: {error}")
