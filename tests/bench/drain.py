"""A receiver of syslog drains that checks every line: its number, its text, and its place."""

import re
import selectors
import socket
import threading
from dataclasses import dataclass, field
from types import TracebackType

MESSAGE = re.compile(rb"(\d+) (<\d+>1 \S+ \S+ (\S+) \[([^\]]*)\] - - ([^\n]*)\n)")
NUMBERED = re.compile(rb"line (\d+) ")
LOST = re.compile(rb"(\d+) messages lost for ")
MOST_READ = 1 << 20


def text_of(number: int) -> str:
    """The line of this number; the app makes it the same way."""
    check = number * 2654435761 % 4294967296
    return f"line {number} {check:08x} GET /orders/4711 200 12ms, as long as most lines are that apps write"


@dataclass
class Lines:
    """What came of one app."""

    count: int
    came: bytearray = field(init=False)
    unique: int = 0
    repeated: int = 0
    # Behind a later one of the same connection.
    out_of_order: int = 0
    # Of another text than was written.
    wrong: int = 0
    # What cflite says that it could not send.
    told_lost: int = 0

    def __post_init__(self) -> None:
        self.came = bytearray(self.count + 1)

    @property
    def lost_in_silence(self) -> int:
        """Lines that neither came nor were told as lost."""
        return max(0, self.count - self.unique - self.told_lost)


class Receiver:
    """Listens on a port of its own; a thread reads while the block runs."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._rest: dict[socket.socket, bytes] = {}
        # The last number of each app, by connection.
        self._last: dict[tuple[socket.socket, bytes], int] = {}
        self._lines: dict[bytes, Lines] = {}
        self._ends = False
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        """Of the drain: lines of the app and of the log system, without tags."""
        port = self._listener.getsockname()[1]
        return f"syslog://127.0.0.1:{port}/?include-log-types=app,lgr&disable-metadata=true"

    def of(self, guid: str) -> Lines:
        """What came of an app so far."""
        if self._failed is not None:
            raise RuntimeError(f"the receiver failed: {self._failed}")
        return self._lines.get(guid.encode()) or Lines(self._count)

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._ends = True
        self._thread.join(timeout=10)
        for connection in self._rest:
            connection.close()
        self._listener.close()
        self._selector.close()

    def _run(self) -> None:
        try:
            while not self._ends:
                for key, _events in self._selector.select(timeout=0.2):
                    connection = key.fileobj
                    assert isinstance(connection, socket.socket)
                    if connection is self._listener:
                        self._accept()
                    else:
                        self._read(connection)
        except Exception as error:  # the figures must not come from a receiver that stopped
            self._failed = error

    def _accept(self) -> None:
        connection, _address = self._listener.accept()
        self._rest[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            chunk = connection.recv(MOST_READ)
        except ConnectionError:
            chunk = b""
        if not chunk:
            self._selector.unregister(connection)
            del self._rest[connection]
            connection.close()
            return
        data = self._rest[connection] + chunk
        end = 0
        for message in MESSAGE.finditer(data):
            length, whole, guid, source, text = message.groups()
            if message.start() != end or int(length) != len(whole):
                raise ValueError(f"a frame is broken: {data[end : end + 200]!r}")
            end = message.end()
            self._take(connection, guid, source, text)
        self._rest[connection] = data[end:]

    def _take(self, connection: socket.socket, guid: bytes, source: bytes, text: bytes) -> None:
        lines = self._lines.get(guid)
        if lines is None:
            lines = self._lines[guid] = Lines(self._count)
        if source.startswith(b"LGR"):
            if lost := LOST.match(text):
                lines.told_lost += int(lost[1])
            return
        numbered = NUMBERED.match(text)
        if numbered is None:
            return
        number = int(numbered[1])
        if text != text_of(number).encode():
            lines.wrong += 1
        before = self._last.get((connection, guid), 0)
        self._last[connection, guid] = number
        if number <= before:
            lines.out_of_order += 1
        if lines.came[number]:
            lines.repeated += 1
        else:
            lines.came[number] = 1
            lines.unique += 1
