#!/usr/bin/env python3
"""Checks a receipt of the consortium's log of queries, offline, against a policy file.

    verify_receipt.py RECEIPT POLICY [--request NOTE] [--response FILE] [--leaf FILE]

RECEIPT is a C2SP tlog-proof (https://c2sp.org/tlog-proof), POLICY a C2SP tlog-policy file (https://c2sp.org/tlog-policy).
Needs Python 3.9 and the package `cryptography`, nothing of Interdict: it shares no code with it, on purpose.

The leaf is made from the receipt's own `extra` line (16 bytes of salt and a record `interdict/query/v1`); with --leaf it
is the bytes of a file instead, for proofs of other logs. --request and --response check that the record is that of a
request that you signed and a response that you received.

Says what it checked and exits with 0, or says what is wrong and exits with 1 (2 for a wrong command line).
"""

import argparse
import base64
import binascii
import datetime
import hashlib
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519, COSIGNATURE = 0x01, 0x04


class Refused(Exception):
    """Why a receipt is not accepted."""


def unbase64(text, what):
    """Bytes from the one spelling that they have in base64."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"{what}: not base64")
    if base64.b64encode(data).decode() != text:
        raise Refused(f"{what}: not the one spelling of its bytes in base64")
    return data


def number(text, what):
    if not re.fullmatch(r"0|[1-9][0-9]*", text) or int(text) >= 1 << 64:
        raise Refused(f"{what}: expected a number")
    return int(text)


class Key:
    """A verifier key (https://c2sp.org/signed-note): name+id+base64(type, key)."""

    def __init__(self, text):
        parts = text.split("+", 2)
        if len(parts) != 3 or not parts[0] or not re.fullmatch(r"[0-9a-f]{8}", parts[1]):
            raise Refused(f"{text!r} is no verifier key")
        data = unbase64(parts[2], "a verifier key")
        self.name, self.id, self.type, self.public = parts[0], bytes.fromhex(parts[1]), data[0], data[1:]
        if self.type not in (ED25519, COSIGNATURE) or len(self.public) != 32:
            raise Refused(f"the key of {self.name!r} is of a type that is not known here")
        if hashlib.sha256(self.name.encode() + b"\n" + data).digest()[:4] != self.id:
            raise Refused(f"the key of {self.name!r} is not the one that its id says")

    def check(self, text, signature):
        """Checks a signature over a note's text; for a cosignature, returns its time in seconds."""
        time = None
        if self.type == COSIGNATURE:
            if len(signature) != 72:
                raise Refused(f"the cosignature of {self.name!r} is not 72 bytes")
            time = int.from_bytes(signature[:8], "big")
            text, signature = f"cosignature/v1\ntime {time}\n{text}", signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            raise Refused(f"the signature of {self.name!r} does not verify")
        return time


class Policy:
    """Logs, witnesses, groups and the quorum."""

    def __init__(self, data):
        self.logs, self.witnesses, self.groups, self.quorum = [], {}, {}, None
        grouped = set()
        # Names are bytes; latin-1 keeps them apart.
        for place, line in enumerate(data.decode("latin-1").split("\n"), 1):
            words = re.split(r"[ \t]+", line.strip(" \t"))
            if not words[0] or words[0].startswith("#"):
                continue
            try:
                self.read(words, grouped)
            except Refused as refused:
                raise Refused(f"policy line {place}: {refused}")
        if self.quorum is None:
            raise Refused("the policy has no quorum line")

    def read(self, words, grouped):
        kind, rest = words[0], words[1:]
        if kind == "log" and len(rest) in (1, 2):
            self.logs.append(self.key(rest[0], ED25519, self.logs))
        elif kind == "witness" and len(rest) in (2, 3):
            key = self.key(rest[1], COSIGNATURE, self.witnesses.values())
            self.define(rest[0])
            self.witnesses[rest[0]] = key
        elif kind == "group" and len(rest) >= 3:
            name, k, members = rest[0], rest[1], rest[2:]
            for member in members:
                self.known(member)
                if member in grouped:
                    raise Refused(f"{member!r} is a member of a group already")
                grouped.add(member)
            k = {"any": 1, "all": len(members)}.get(k) or number(k, "a group's threshold")
            if not 1 <= k <= len(members):
                raise Refused(f"{k} of {len(members)} members")
            self.define(name)
            self.groups[name] = (k, members)
        elif kind == "quorum" and len(rest) == 1 and self.quorum is None:
            if rest[0] != "none":
                self.known(rest[0])
            self.quorum = rest[0]
        else:
            raise Refused("not understood, or said twice")

    def key(self, text, kind, others):
        key = Key(text.encode("latin-1").decode("utf-8", "replace"))
        if key.type != kind or any(other.public == key.public for other in others):
            raise Refused(f"the key of {key.name!r} is of another type, or listed already")
        return key

    def known(self, name):
        if name not in self.witnesses and name not in self.groups:
            raise Refused(f"{name!r} is not defined before")

    def define(self, name):
        if name == "none" or name in self.witnesses or name in self.groups:
            raise Refused(f"{name!r} is taken")

    def is_met(self, name, signed):
        """Whether a witness or group has witnessed; groups name earlier ones only, so this ends."""
        if name == "none":
            return True
        if name in self.witnesses:
            return name in signed
        k, members = self.groups[name]
        return sum(self.is_met(member, signed) for member in members) >= k


def check_signatures(note, policy):
    """The log's key and the times of the known witnesses; others' signatures are passed over."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    if not lines.endswith("\n"):
        raise Refused("the checkpoint has no signature lines, or the last one has no end")
    origin = text.split("\n")[0]
    log, signed, seen = None, {}, set()
    for line in lines[:-1].split("\n"):
        match = re.fullmatch("\u2014 ([^ +\\s]+) ([A-Za-z0-9+/=]+)", line)
        if not match:
            raise Refused(f"{line!r} is no signature line")
        name, data = match[1], unbase64(match[2], "a signature line")
        for witness, key in [(None, key) for key in policy.logs if key.name == origin] + list(policy.witnesses.items()):
            if (key.name, key.id) != (name, data[:4]):
                continue
            if (name, key.id) in seen:
                raise Refused(f"a second signature by one key of {name!r}")
            seen.add((name, key.id))
            time = key.check(text, data[4:])
            if witness is None:
                log = key
            else:
                signed[witness] = time
    if log is None:
        raise Refused(f"no log of the policy has signed this checkpoint of {origin!r}")
    if not policy.is_met(policy.quorum, signed):
        raise Refused(f"{len(signed)} of {len(policy.witnesses)} witnesses cosigned: the policy asks for others or more")
    return text, log, signed


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root_from(leaf, index, size, proof):
    """The root that a proof leads to (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        raise Refused(f"leaf {index} of a tree of {size} leaves")
    at, last, value = index, size - 1, leaf
    for other in proof:
        if last == 0:
            raise Refused("the proof is too long")
        if at & 1 or at == last:
            value = sha256(b"\x01", other, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = sha256(b"\x01", value, other)
        at, last = at >> 1, last >> 1
    if last:
        raise Refused("the proof is too short")
    return value


KEYS = ["member", "epoch", "service", "items", "request", "response", "time_ms"]


def read_query(record):
    """The record `interdict/query/v1`, by its keys."""
    try:
        lines = record.decode().split("\n")
    except UnicodeDecodeError:
        raise Refused("the record is not UTF-8")
    if lines[0] != "interdict/query/v1" or lines[-1] != "" or len(lines) != len(KEYS) + 2:
        raise Refused("the record is no interdict/query/v1")
    query = {}
    for key, line in zip(KEYS, lines[1:]):
        if not line.startswith(key + " "):
            raise Refused(f"the record: expected {key!r}")
        query[key] = line[len(key) + 1 :]
    for key in ("member", "epoch", "items", "time_ms"):
        query[key] = number(query[key], f"the record's {key}")
    for key in ("request", "response"):
        query[key] = unbase64(query[key], f"the record's {key}")
        if len(query[key]) != 32:
            raise Refused(f"the record's {key}: expected 32 bytes")
    return query


def at(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds")


def verify(receipt, policy, leaf=None, request=None, response=None):
    """Checks all; a list of what was checked."""
    try:
        head, _, note = receipt.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise Refused("the receipt is not UTF-8")
    lines = head.split("\n")
    if lines.pop(0) != "c2sp.org/tlog-proof@v1":
        raise Refused("line 1: expected c2sp.org/tlog-proof@v1")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = unbase64(lines.pop(0)[6:], "extra")
    if not lines or not lines[0].startswith("index "):
        raise Refused("expected a line \"index\"")
    index = number(lines.pop(0)[6:], "index")
    proof = [unbase64(line, "a hash of the proof") for line in lines]
    if len(proof) > 63 or any(len(value) != 32 for value in proof):
        raise Refused("a hash of the proof is not 32 bytes, or there are too many")

    text, log, signed = check_signatures(note, policy)
    fields = text.split("\n")
    if len(fields) < 4 or any(not field for field in fields[:-1]):
        raise Refused("the checkpoint has not three lines, or an empty one")
    origin, size, root = fields[0], number(fields[1], "the checkpoint's size"), unbase64(fields[2], "the root")
    checked = [
        f"the checkpoint of {origin!r} with {size} leaves is signed by the log's key {log.id.hex()}",
        f"{len(signed)} of {len(policy.witnesses)} witnesses cosigned it, which meets the quorum {policy.quorum!r}:",
    ]
    checked += [f"  {name} at {at(time * 1000)}" for name, time in signed.items()]

    query = None
    if leaf is None:
        if extra is None or len(extra) < 16:
            raise Refused("the receipt has no opening in a line \"extra\", and --leaf is not given")
        query = read_query(extra[16:])
        leaf = sha256(extra)
    if root_from(sha256(b"\x00", leaf), index, size, proof) != root:
        raise Refused("the proof does not lead from the leaf to the checkpoint's root")
    checked.append(f"leaf {index} is in that tree, by {len(proof)} hashes")
    if query:
        checked.append(
            "the leaf is the commitment to this record: member {member}, epoch {epoch}, service {service}, "
            "{items} items, answered at {at}".format(at=at(query["time_ms"]), **query)
        )
    for name, given in (("request", request), ("response", response)):
        if given is None:
            continue
        if query is None:
            raise Refused(f"--{name} needs the record, and --leaf replaces it")
        if name == "request":
            given, found, _ = given.rpartition(b"\n\n")
            given += b"\n" if found else b""
        if sha256(given) != query[name]:
            raise Refused(f"the record is of another {name}")
        checked.append(f"the record is that of the {name} given")
    return checked


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("receipt")
    parser.add_argument("policy")
    parser.add_argument("--leaf", help="a file whose bytes are the leaf")
    parser.add_argument("--request", help="the note of the request that you signed")
    parser.add_argument("--response", help="the bytes of the response that you received")
    args = parser.parse_args()

    def read(path):
        if path is None:
            return None
        with open(path, "rb") as file:
            return file.read()

    try:
        policy = Policy(read(args.policy))
        checked = verify(read(args.receipt), policy, read(args.leaf), read(args.request), read(args.response))
    except OSError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    except Refused as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 1
    print("accepted:")
    for line in checked:
        print(f"  {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
