#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The servers of the guide, from outside.

usage: server_test.py echo|chat|proxy PROGRAM [TARGET_PROGRAM]
"""
import os
import re
import signal
import socket
import subprocess
import sys

SECONDS = 30  # nothing here takes long, except on a machine that is busy


class Server:
    """A program that says on which port it listens; ended by leaving."""

    def __init__(self, *command):
        emulator = os.environ.get("WEFT_EMULATOR")
        self.process = subprocess.Popen(
            ([emulator] if emulator else []) + list(command),
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on port (\d+)\n", line)
        if not found:
            self.process.kill()
            sys.exit("server_test: it said %r" % line)
        self.port = int(found.group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), SECONDS)


def equal(got, expected):
    if got != expected:
        sys.exit("server_test: %r came, not %r" % (got, expected))


def receive(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            break
        data += piece
    return data


def echo(server, connections=20):
    open_ones = [server.connect() for _ in range(connections)]
    for number, connection in enumerate(open_ones):
        connection.sendall(b"number %d" % number)
    for number, connection in enumerate(open_ones):
        text = b"number %d" % number
        equal(receive(connection, len(text)), text)
    large = bytes(range(256)) * 400
    with server.connect() as connection:
        connection.sendall(large)
        connection.shutdown(socket.SHUT_WR)
        equal(receive(connection, len(large) + 1), large)
    for connection in open_ones:
        connection.close()


def stop(server):
    """SIGTERM: the connections end, and then the program does, in order."""
    with server.connect() as connection:
        connection.sendall(b"x")
        equal(receive(connection, 1), b"x")
        server.process.send_signal(signal.SIGTERM)
        equal(receive(connection, 1), b"")
    equal(server.process.wait(SECONDS), 0)


class Guest:
    """A connection that speaks in lines."""

    def __init__(self, server):
        self.connection = server.connect()
        self.heard = b""

    def say(self, text):
        self.connection.sendall(text)

    def hear(self, seconds=SECONDS):
        """The next line, or None when none comes in time."""
        self.connection.settimeout(seconds)
        try:
            while b"\n" not in self.heard:
                piece = self.connection.recv(4096)
                if not piece:
                    sys.exit("server_test: the server hung up")
                self.heard += piece
        except socket.timeout:
            return None
        line, _, self.heard = self.heard.partition(b"\n")
        return line

    def reaches(self, others):
        """Speaks until all others hear it: nobody is told who is in."""
        for other in others:
            for _ in range(SECONDS * 5):
                self.say(b"here\n")
                if other.hear(0.2) is not None:
                    break
            else:
                sys.exit("server_test: a guest is not heard")
        self.say(b"ready\n")
        for other in others:
            while other.hear() != b"ready":
                pass


def chat(server):
    ann, bob, eve = Guest(server), Guest(server), Guest(server)
    ann.reaches([bob, eve])
    bob.reaches([ann, eve])
    ann.say(b"hello\nall of you\n")
    for guest in (bob, eve):
        equal(guest.hear(), b"hello")
        equal(guest.hear(), b"all of you")
    bob.say(b"in two ")
    bob.say(b"pieces\n")
    for guest in (ann, eve):
        equal(guest.hear(), b"in two pieces")
    eve.connection.close()
    ann.say(b"she left\n")
    equal(bob.hear(), b"she left")


def main(kind, program, *rest):
    if kind == "proxy":
        with Server(*rest) as target, \
                Server(program, "127.0.0.1:%d" % target.port) as server:
            echo(server)
    else:
        with Server(program) as server:
            {"echo": echo, "chat": chat}[kind](server)
            if kind == "echo":
                stop(server)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
