"""Mitogen's way: one command at the target whose input and output carry everything, in both directions
at once, for as long as the connection lives. See cell.rs for the world it finds in its environment."""

import hashlib
import os
import sys

import mitogen.core
import mitogen.utils

at = os.environ


def say(*words):
    import os
    import sys

    return [os.environ.get("HOME", ""), *words, sys.platform]


def turned(piece):
    return piece[::-1]


def fail():
    raise ValueError("on purpose")


def main(router):
    far = router.ssh(
        hostname=at["HOST"],
        port=int(at["PORT"]),
        username=at["WHO"],
        identity_file=at["KEY"],
        identities_only=True,
        check_host_keys="ignore",
        ssh_args=["-F", at["CONFIG"], "-o", "UserKnownHostsFile=" + at["KNOWN"]],
        python_path="/usr/bin/python3",
        compression=False,
    )
    case = at["CASE"]
    if case == "exec":
        print("here")
        print(far.call(say, "one", "two"))
        try:
            far.call(fail)
        except mitogen.core.CallError as error:
            print(str(error).splitlines()[0])
    if case == "sessions":
        calls = [far.call_async(say, number) for number in range(30)]
        answers = [call.get().unpickle()[1] for call in calls]
        print(f"{sum(answer == number for number, answer in enumerate(answers))} of 30")
    if case == "bulk":
        with open(at["BIG"], "rb") as file:
            big = file.read()
        step = 1 << 18
        pieces = [big[start : start + step] for start in range(0, len(big), step)]
        calls = [far.call_async(turned, mitogen.core.Blob(piece)) for piece in pieces]
        back = b"".join(call.get().unpickle()[::-1] for call in calls)
        print("whole" if hashlib.sha256(back).digest() == hashlib.sha256(big).digest() else len(back))
    sys.stdout.flush()


if __name__ == "__main__":
    mitogen.utils.run_with_router(main)
