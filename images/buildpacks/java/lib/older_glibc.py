"""Lets the ELF files of a folder run with an older C library than the one they were built for. usage: older_glibc.py FOLDER

Debian's newer suites link even simple functions to new symbol versions: strtol became __isoc23_strtol (it reads 0b… as binary), and fmod got
a version that leaves errno alone. The C library has had both under their old names and versions since ever. A file that needs anything else
that this machine's C library lacks cannot run: then its name and the symbol are printed, and the exit status is 1.
"""

import os
import re
import struct
import sys
from pathlib import Path

OLDEST = {62: b"GLIBC_2.2.5", 183: b"GLIBC_2.17"}  # by machine: x86-64, arm64
SAME_BY_ANOTHER_NAME = b"__isoc23_"
SAME = {b"fmod", b"fmodf"}


def version(name):
    match = re.fullmatch(rb"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", name)
    return match and (int(match[1]), int(match[2]))


def elf_hash(name):
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high
    return value & 0xFFFFFFFF


class Elf:
    def __init__(self, data):
        self.data = data
        self.machine = struct.unpack_from("<H", data, 18)[0]
        start, size, count = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HH", data, 58)
        # name, type, flags, address, offset, size, link, info, alignment, entry size
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", data, start + index * size) for index in range(count)]

    def section(self, kind):
        return next((section for section in self.sections if section[1] == kind), None)

    def text(self, offset):
        return bytes(self.data[self.strings + offset : self.data.index(b"\0", self.strings + offset)])

    def make_older(self, have):
        """Rewrites the file's needs. Returns whether it changed. Raises ValueError with a symbol that cannot be had."""
        symbols, needs, versions = self.section(11), self.section(0x6FFFFFFE), self.section(0x6FFFFFFF)
        if not (symbols and needs and versions):
            return False
        self.strings = self.sections[symbols[6]][4]
        too_new = {}
        offset = needs[4]
        for _ in range(needs[7]):
            _, count, _, first, following = struct.unpack_from("<HHIII", self.data, offset)
            entry = offset + first
            for _ in range(count):
                _, _, index, name, next_entry = struct.unpack_from("<IHHII", self.data, entry)
                if (version(self.text(name)) or (0, 0)) > have:
                    too_new[index] = entry
                entry += next_entry
            offset += following
        if not too_new:
            return False
        oldest = OLDEST[self.machine]
        place = self.data.find(b"\0" + oldest + b"\0", self.strings, self.strings + self.sections[symbols[6]][5])
        if place < 0:
            raise ValueError(f"it does not name {oldest.decode()}")
        for number in range(symbols[5] // 24):
            if struct.unpack_from("<H", self.data, versions[4] + number * 2)[0] & 0x7FFF in too_new:
                self.rename(symbols[4] + number * 24)
        for entry in too_new.values():
            struct.pack_into("<I", self.data, entry, elf_hash(oldest))
            struct.pack_into("<I", self.data, entry + 8, place + 1 - self.strings)
        return True

    def rename(self, symbol):
        name = struct.unpack_from("<I", self.data, symbol)[0]
        text = self.text(name)
        if text.startswith(SAME_BY_ANOTHER_NAME):
            # The old name is the end of the new one.
            struct.pack_into("<I", self.data, symbol, name + len(SAME_BY_ANOTHER_NAME))
        elif text not in SAME:
            raise ValueError(f"it needs the C library's newer {text.decode()}")


def main():
    have = tuple(int(part) for part in os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")[:2])
    for path in sorted(Path(sys.argv[1]).rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            if file.read(6) != b"\x7fELF\x02\x01":
                continue
        elf = Elf(bytearray(path.read_bytes()))
        try:
            changed = elf.make_older(have)
        except ValueError as error:
            sys.exit(f"{path.name}: {error}")
        if changed:
            path.chmod(path.stat().st_mode | 0o200)
            path.write_bytes(elf.data)


main()
