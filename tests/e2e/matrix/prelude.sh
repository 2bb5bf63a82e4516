# What every cell's script begins with. Its world is in the environment: docs of `cell.rs`.
set -u -o pipefail
trap '{ for job in $(jobs -p); do kill "$job" $(cat "/proc/$job/task/$job/children"); done; wait; } 2>/dev/null' EXIT

# Waits until somebody listens on a port of this machine.
listens() {
    local try
    for try in $(seq 500); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
        sleep 0.02
    done
    echo "nobody listens" >&2
    return 1
}

# Says hello to the service behind a port, and prints what it says.
talk() {
    local conversation
    exec {conversation}<>"/dev/tcp/127.0.0.1/$1"
    echo hello >&"$conversation"
    cat <&"$conversation"
}

# Runs a client on a terminal of 33 by 99, which grows to 44 by 111 once the far side is ready.
terminal() {
    mkfifo "$HOME/typed"
    exec 9<>"$HOME/typed"
    printf '%q ' "$@" >"$HOME/line"
    script -qec '
        stty rows 33 cols 99 -echo
        terminal=$(tty)
        (until [ -e "$FAR/ready" ]; do sleep 0.02; done; stty -F "$terminal" rows 44 cols 111) &
        bash "$HOME/line"' /dev/null <&9
}

# Compares what came back with what was sent.
whole() {
    cmp "$1" "$2" && echo whole
}
