"""What libssh2 does in each case, through the package ssh2-python; see cell.rs for the world it finds in
its environment."""

import os
import shutil
import socket
import stat
import sys
import threading
import time

from ssh2.session import Session
from ssh2.sftp import (
    LIBSSH2_FXF_CREAT,
    LIBSSH2_FXF_READ,
    LIBSSH2_FXF_TRUNC,
    LIBSSH2_FXF_WRITE,
)

at = os.environ


def connected():
    session = Session()
    session.handshake(socket.create_connection((at["HOST"], int(at["PORT"]))))
    session.userauth_publickey_fromfile(at["WHO"], at["KEY"])
    return session


def read_all(read):
    got = b""
    while True:
        size, piece = read(65536)
        if size <= 0:
            return got
        got += piece


def finish(channel):
    out = read_all(channel.read)
    err = read_all(channel.read_stderr)
    channel.close()
    channel.wait_closed()
    sys.stdout.buffer.write(out)
    sys.stdout.flush()
    sys.stderr.buffer.write(err)
    print("status", channel.get_exit_status(), "signal", channel.get_exit_signal()[1])


def whole(sent, back):
    print("whole" if sent == back else f"{len(back)} of {len(sent)} bytes")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def exec_(session):
    channel = session.open_session()
    channel.execute(at["REMOTE"])
    finish(channel)


def input_(session):
    channel = session.open_session()
    channel.execute(at["REMOTE"])
    channel.write(b"one\ntwo\n")
    channel.send_eof()
    finish(channel)


def environment(session):
    channel = session.open_session()
    channel.setenv("LC_MATRIX", "passes")
    channel.execute(at["REMOTE"])
    finish(channel)


def bulk(session):
    big = read(at["BIG"])
    channel = session.open_session()
    channel.execute(at["REMOTE"])
    back = b""
    # One session is one thread, so it is written and read in turns.
    for start in range(0, len(big), 1 << 15):
        piece = big[start : start + (1 << 15)]
        channel.write(piece)
        got = 0
        while got < len(piece):
            size, part = channel.read(len(piece) - got)
            if size <= 0:
                break
            got += size
            back += part
    channel.send_eof()
    whole(big, back + read_all(channel.read))


def sessions(session):
    done = 0
    for first in range(0, 30, 6):
        channels = []
        for number in range(first, first + 6):
            channel = session.open_session()
            channel.execute(f"{at['REMOTE']} {number}")
            channels.append((number, channel))
        for number, channel in channels:
            done += read_all(channel.read) == f"{number}\n".encode()
            channel.close()
    print(f"{done} of 30")


WRITE = LIBSSH2_FXF_CREAT | LIBSSH2_FXF_WRITE | LIBSSH2_FXF_TRUNC


def put(sftp, path, content):
    with sftp.open(path, WRITE, 0o640) as file:
        file.write(content)


def get(sftp, path):
    with sftp.open(path, LIBSSH2_FXF_READ, 0) as file:
        return b"".join(piece for _, piece in file)


def listed(sftp, path):
    with sftp.opendir(path) as folder:
        return sorted(name.decode() for _, name, _ in folder.readdir())


def files(session):
    far = at["FAR"]
    sftp = session.sftp_init()
    put(sftp, far + "/one", b"one\n")
    sftp.rename(far + "/one", far + "/renamed")
    sftp.mkdir(far + "/folder", 0o750)
    put(sftp, far + "/folder/three", b"three\n")
    print(sftp.realpath(far + "/folder/.."))
    print(get(sftp, far + "/renamed"), oct(sftp.stat(far + "/renamed").permissions))
    print(listed(sftp, far))
    sftp.mkdir(far + "/gone", 0o700)
    sftp.rmdir(far + "/gone")
    for wrong in (sftp.stat, sftp.unlink, sftp.opendir):
        try:
            wrong(far + "/nothing")
        except Exception as error:
            print(type(error).__name__, sftp.last_error())


def link(session):
    sftp = session.sftp_init()
    put(sftp, at["FAR"] + "/renamed", b"one\n")
    sftp.symlink(at["FAR"] + "/renamed", at["FAR"] + "/link")
    print("renamed" in listed(sftp, at["FAR"]), get(sftp, at["FAR"] + "/link"), "renamed")


def directory(session):
    shutil.copytree(at["MANY"], at["FAR"] + "/many")
    print(len([name for name in listed(session.sftp_init(), at["FAR"] + "/many") if name[0] != "."]))


def oddname(session):
    sftp = session.sftp_init()
    there = at["FAR"] + "/" + at["ODD"]
    put(sftp, there, read(at["BIG"]))
    print(at["ODD"] in listed(sftp, at["FAR"]))
    whole(read(at["BIG"]), get(sftp, there))


def keepalive(session):
    session.keepalive_config(True, 1)
    channel = session.open_session()
    channel.execute(at["REMOTE"])
    for _ in range(3):
        session.keepalive_send()
        time.sleep(1)
    # A read of libssh2 fails at the moment when the next keepalive is due, and what comes after it is read whole here.
    session.keepalive_config(True, 0)
    finish(channel)


def local(session):
    channel = session.direct_tcpip_ex("localhost", int(at["SERVICE"]), "127.0.0.1", 1)
    channel.write(b"hello\n")
    sys.stdout.buffer.write(read_all(channel.read))


def localsocket(session):
    channel = session.direct_streamlocal_ex(at["SOCKET"], "127.0.0.1", 1)
    channel.write(b"hello\n")
    sys.stdout.buffer.write(read_all(channel.read))


def reverse(session):
    listener, _ = session.forward_listen_ex(4, "localhost", int(at["PORT_A"]))
    got = []

    def come():
        with socket.create_connection(("127.0.0.1", int(at["PORT_A"]))) as comer:
            comer.sendall(b"hello\n")
            while piece := comer.recv(4096):
                got.append(piece)

    comer = threading.Thread(target=come)
    comer.start()
    channel = listener.forward_accept()
    channel.write(b"welcome\n")
    _, heard = channel.read()
    channel.write(heard)
    channel.send_eof()
    channel.close()
    comer.join()
    listener.forward_cancel()
    sys.stdout.buffer.write(b"".join(got))


session = connected()
case = at["CASE"]
{"exec": exec_, "signal": exec_, "input": input_}.get(case, globals().get(case))(session)
session.disconnect()
