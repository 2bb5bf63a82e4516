"""What paramiko does in each case; see cell.rs for the world it finds in its environment."""

import os
import shutil
import socket
import sys
import threading
import time

import paramiko

at = os.environ


def connected():
    # It stumbles over `@cert-authority`.
    plain = at["HOME"] + "/known_hosts"
    with open(at["KNOWN"]) as known, open(plain, "w") as file:
        file.writelines(line for line in known if not line.startswith("@"))
    client = paramiko.SSHClient()
    client.load_host_keys(plain)
    client.connect(
        at["HOST"],
        int(at["PORT"]),
        at["WHO"],
        key_filename=at["KEY"],
        allow_agent=False,
        look_for_keys=False,
    )
    return client


def run(client, command, given=b"", **wishes):
    channel = client.get_transport().open_session()
    for name, value in wishes.get("environment", {}).items():
        channel.set_environment_variable(name, value)
    channel.exec_command(command)
    got = {"out": b"", "err": b""}

    def listen(name, receive):
        while piece := receive(65536):
            got[name] += piece

    listeners = [
        threading.Thread(target=listen, args=("out", channel.recv)),
        threading.Thread(target=listen, args=("err", channel.recv_stderr)),
    ]
    for listener in listeners:
        listener.start()
    channel.sendall(given)
    if settled := wishes.get("settled"):
        settled(lambda: len(got["out"]))
    channel.shutdown_write()
    for listener in listeners:
        listener.join()
    return got["out"], got["err"], channel.recv_exit_status()


def show(answer):
    out, err, status = answer
    sys.stdout.buffer.write(out)
    sys.stdout.flush()
    sys.stderr.buffer.write(err)
    print("status", status)


def whole(sent, back):
    print("whole" if sent == back else f"{len(back)} of {len(sent)} bytes")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def exec_(client):
    show(run(client, at["REMOTE"]))


def input_(client):
    show(run(client, at["REMOTE"], b"one\ntwo\n"))


def environment(client):
    show(run(client, at["REMOTE"], environment={"LC_MATRIX": "passes"}))


def bulk(client):
    big = read(at["BIG"])
    whole(big, run(client, at["REMOTE"], big)[0])


def rekey(client):
    transport = client.get_transport()
    packetizer = transport.packetizer
    ordinary = packetizer.REKEY_BYTES
    packetizer.REKEY_BYTES = 512 * 1024
    big = read(at["BIG"])

    # It answers a channel's end in the thread that would exchange keys, and waits there for itself
    # when the two fall together, with any server. So nothing ends before the last exchange is over.
    def settled(back):
        until = time.time() + 60
        while back() < len(big) or packetizer.need_rekey() or transport.in_kex:
            packetizer.REKEY_BYTES = 512 * 1024 if back() < len(big) else ordinary
            if time.time() > until:
                sys.exit(f"{back()} bytes came back and no new keys")
            time.sleep(0.01)

    whole(big, run(client, at["REMOTE"], big, settled=settled)[0])


def terminal(client):
    channel = client.get_transport().open_session()
    channel.get_pty("xterm", 99, 33)
    channel.exec_command(at["REMOTE"])
    while not os.path.exists(at["FAR"] + "/ready"):
        time.sleep(0.02)
    channel.resize_pty(111, 44)
    got = b""
    while piece := channel.recv(4096):
        got += piece
    show((got, b"", channel.recv_exit_status()))


def sessions(client):
    done = []

    def one(number):
        out, _, _ = run(client, f"{at['REMOTE']} {number}")
        done.append(out == f"{number}\n".encode())

    for first in range(0, 30, 6):
        threads = [threading.Thread(target=one, args=(first + n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(f"{sum(done)} of 30")


def files(client):
    far = at["FAR"]
    sftp = client.open_sftp()
    with open("one", "w") as file:
        file.write("one\n")
    sftp.put("one", far + "/one")
    sftp.posix_rename(far + "/one", far + "/renamed")
    sftp.mkdir(far + "/folder")
    sftp.put("one", far + "/folder/two")
    sftp.rename(far + "/folder/two", far + "/folder/three")
    print(sftp.normalize(far + "/folder/.."))
    sftp.chmod(far + "/renamed", 0o600)
    sftp.truncate(far + "/folder/three", 2)
    sftp.get(far + "/renamed", "back")
    print(sorted(sftp.listdir(far)), oct(sftp.stat(far + "/renamed").st_mode))
    sftp.mkdir(far + "/gone")
    sftp.rmdir(far + "/gone")
    for wrong in (sftp.stat, sftp.remove, sftp.listdir):
        try:
            wrong(far + "/nothing")
        except OSError as error:
            print(error)


def link(client):
    sftp = client.open_sftp()
    sftp.symlink(at["FAR"] + "/renamed", at["FAR"] + "/link")
    print(sftp.readlink(at["FAR"] + "/link"))


def directory(client):
    shutil.copytree(at["MANY"], at["FAR"] + "/many")
    names = client.open_sftp().listdir(at["FAR"] + "/many")
    print(len(names))


def oddname(client):
    sftp = client.open_sftp()
    there = at["FAR"] + "/" + at["ODD"]
    sftp.put(at["BIG"], there)
    sftp.get(there, "back")
    print(at["ODD"] in sftp.listdir(at["FAR"]))
    whole(read(at["BIG"]), read("back"))


def keepalive(client):
    client.get_transport().set_keepalive(1)
    show(run(client, at["REMOTE"]))


def local(client):
    place = ("localhost", int(at["SERVICE"]))
    channel = client.get_transport().open_channel("direct-tcpip", place, ("127.0.0.1", 1))
    channel.sendall(b"hello\n")
    got = b""
    while piece := channel.recv(4096):
        got += piece
    show((got, b"", 0))


def reverse(client):
    transport = client.get_transport()
    port = transport.request_port_forward("localhost", int(at["PORT_A"]))
    comer = socket.create_connection(("127.0.0.1", port))
    channel = transport.accept(10)
    channel.sendall(b"welcome\n")
    comer.sendall(b"hello\n")
    channel.sendall(channel.recv(4096))
    channel.shutdown_write()
    got = b""
    while piece := comer.recv(4096):
        got += piece
    show((got, b"", 0))
    transport.cancel_port_forward("localhost", port)


def agent(client):
    at["SSH_AUTH_SOCK"] = at["AGENT"]
    channel = client.get_transport().open_session()
    paramiko.agent.AgentRequestHandler(channel)
    channel.exec_command(at["REMOTE"])
    got = b""
    while piece := channel.recv(4096):
        got += piece
    show((got, b"", channel.recv_exit_status()))


def display(client):
    transport = client.get_transport()
    channel = transport.open_session()
    channel.request_x11()
    channel.exec_command(at["REMOTE"])
    drawn = transport.accept(10)
    drawn.recv(4096)
    drawn.sendall(b"greeting\n")
    drawn.shutdown_write()
    got = b""
    while piece := channel.recv(4096):
        got += piece
    show((got, b"", channel.recv_exit_status()))


def nomore(client):
    transport = client.get_transport()
    channel = transport.open_session()
    transport.global_request("no-more-sessions@openssh.com", wait=False)
    channel.exec_command(at["REMOTE"])
    show((channel.recv(4096), b"", channel.recv_exit_status()))
    try:
        show(run(client, "echo second"))
    except Exception as error:
        print(type(error).__name__)


client = connected()
case = at["CASE"]
names = {"exec": exec_, "input": input_, "signal": exec_}
names.get(case, globals().get(case))(client)
client.close()
