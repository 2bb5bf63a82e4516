"""What asyncssh does in each case; see cell.rs for the world it finds in its environment."""

import asyncio
import os
import shutil
import sys

import asyncssh

at = os.environ


def show(done):
    sys.stdout.buffer.write(done.stdout)
    sys.stdout.flush()
    sys.stderr.buffer.write(done.stderr)
    print("status", done.exit_status, "signal", done.exit_signal and done.exit_signal[0])


def whole(sent, back):
    print("whole" if sent == back else f"{len(back)} of {len(sent)} bytes")


def read(path):
    with open(path, "rb") as file:
        return file.read()


async def exec_(far, **wishes):
    show(await far.run(at["REMOTE"], encoding=None, **wishes))


async def input_(far):
    await exec_(far, input=b"one\ntwo\n")


async def environment(far):
    await exec_(far, env={"LC_MATRIX": "passes"})


async def bulk(far):
    big = read(at["BIG"])
    done = await far.run(at["REMOTE"], encoding=None, input=big)
    whole(big, done.stdout)


async def terminal(far):
    process = await far.create_process(
        at["REMOTE"], term_type="xterm", term_size=(99, 33), encoding=None
    )
    while not os.path.exists(at["FAR"] + "/ready"):
        await asyncio.sleep(0.02)
    process.change_terminal_size(111, 44)
    show(await process.wait())


async def sessions(far):
    async def one(number):
        done = await far.run(f"{at['REMOTE']} {number}")
        return done.stdout == f"{number}\n"

    done = []
    for first in range(0, 30, 6):
        done += await asyncio.gather(*(one(first + n) for n in range(6)))
    print(f"{sum(done)} of 30")


async def files(far):
    there = at["FAR"]
    async with far.start_sftp_client() as sftp:
        with open("one", "w") as file:
            file.write("one\n")
        await sftp.put("one", there + "/one")
        await sftp.posix_rename(there + "/one", there + "/renamed")
        await sftp.mkdir(there + "/folder")
        await sftp.put("one", there + "/folder/three")
        await sftp.link(there + "/renamed", there + "/hard")
        print(await sftp.realpath(there + "/folder/.."))
        await sftp.chmod(there + "/renamed", 0o600)
        await sftp.truncate(there + "/folder/three", 2)
        await sftp.get(there + "/renamed", "back")
        print(sorted(await sftp.listdir(there)))
        await sftp.rmtree(there + "/folder")
        for wrong in (sftp.stat, sftp.remove, sftp.listdir):
            try:
                await wrong(there + "/nothing")
            except asyncssh.SFTPError as error:
                print(error.code, error.reason)
        print((await sftp.statvfs(there)).bsize)


async def link(far):
    async with far.start_sftp_client() as sftp:
        await sftp.symlink(at["FAR"] + "/renamed", at["FAR"] + "/link")
        print(await sftp.readlink(at["FAR"] + "/link"))


async def directory(far):
    shutil.copytree(at["MANY"], at["FAR"] + "/many")
    async with far.start_sftp_client() as sftp:
        names = await sftp.listdir(at["FAR"] + "/many")
    print(len([name for name in names if name not in (".", "..")]))


async def oddname(far):
    there = at["FAR"] + "/" + at["ODD"]
    async with far.start_sftp_client() as sftp:
        await sftp.put(at["BIG"], there)
        await sftp.get(there, "back")
        print(at["ODD"] in await sftp.listdir(at["FAR"]))
    whole(read(at["BIG"]), read("back"))


async def talk(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    sys.stdout.buffer.write(await reader.read(-1))
    sys.stdout.flush()
    writer.close()


async def local(far):
    listener = await far.forward_local_port("", 0, "localhost", int(at["SERVICE"]))
    await talk(listener.get_port())
    listener.close()


async def localsocket(far):
    listener = await far.forward_local_port_to_path("", 0, at["SOCKET"])
    await talk(listener.get_port())
    listener.close()


async def curl(*how):
    running = await asyncio.create_subprocess_exec("curl", "-sS", *how)
    await running.wait()


async def dynamic(far):
    listener = await far.forward_socks("127.0.0.1", 0)
    at_proxy = f"127.0.0.1:{listener.get_port()}"
    await curl("--socks5-hostname", at_proxy, f"http://localhost:{at['WEB']}/")
    listener.close()


async def reverse(far):
    listener = await far.forward_remote_port(
        "localhost", int(at["PORT_A"]), "localhost", int(at["SERVICE"])
    )
    await talk(listener.get_port())
    listener.close()
    await listener.wait_closed()


async def reversesocket(far):
    socket = at["FAR"] + "/home/socket"
    listener = await far.forward_remote_path_to_port(socket, "localhost", int(at["WEB"]))
    await curl("--unix-socket", socket, "http://localhost/")
    listener.close()
    await listener.wait_closed()


async def display(far):
    await exec_(far, x11_forwarding=True, x11_display=at["SCREEN"])


async def main():
    case = at["CASE"]
    options = {"keepalive": {"keepalive_interval": 1}, "rekey": {"rekey_bytes": 512 * 1024}}
    identity = {"agent_path": None, "client_keys": [at["KEY"]]}
    if case == "agent":
        identity = {"agent_path": at["AGENT"], "agent_forwarding": True}
    names = {
        "exec": exec_,
        "signal": exec_,
        "input": input_,
        "keepalive": exec_,
        "agent": exec_,
        "rekey": bulk,
    }
    async with asyncssh.connect(
        at["HOST"],
        int(at["PORT"]),
        username=at["WHO"],
        known_hosts=at["KNOWN"],
        config=None,
        **identity,
        **options.get(case, {}),
    ) as far:
        await names.get(case, globals().get(case))(far)


asyncio.run(main())
