#!/bin/sh
# tidegate-target: makes and removes the accounts of grants at `@TARGET@`, for tidegate.
#
#   tidegate-target make NAME GROUP YYYY-MM-DD ENDS   an account of that group, which expires on that day
#   tidegate-target remove NAME ENDS                  ends what it does and removes it, with its home
#   tidegate-target list                              the accounts that there are
#
# ENDS is when the order ends, in microseconds since 1970. One that comes later does nothing, and of two
# orders about one account the one that ends later was given later: an older one does nothing behind it. So
# an order that was held up on its way never undoes a newer one. The clock here may be behind tidegate's by
# up to nine minutes, and ahead of it by less than one.
#
# Belongs to root, as /usr/local/sbin/tidegate-target with mode 0755. It needs shadow's useradd, GNU
# coreutils and findutils, and util-linux. It may be run again after whatever went wrong.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
# Who asked may be gone before it is done.
trap '' HUP
# An account with more processes than we may have is to be signalled all the same.
prlimit --pid "$$" --nproc=unlimited >/dev/null 2>&1 || :

# The groups that a grant can be given, and no others.
groups=' @GROUPS@ '
# The numbers of accounts and of their own groups: above those that systems give out, below those of
# subuid(5). Each is used once, so what somebody left elsewhere never becomes somebody else's; but a file with the
# setgid bit and the granted group keeps that group's rights. Those in the home and in the places below lose it, also
# where they have a name elsewhere; for anything else that the group can write to: mount it nosuid.
first=70000
last=99999
state=/var/lib/tidegate-target
homes=/home
# Homes on their way out: in the same file system, where nobody else comes in.
aside=$homes/.tidegate-target
shared='/tmp /var/tmp /dev/shm'
# Nobody's number: what signals an account has it, so that the account may not signal that. Of those above 2^31, which
# no system gives out.
nobody=4207413000
# How far ahead an order may end, in seconds: one lives a minute, the rest is for clocks that differ.
ahead=600

fail() {
    printf 'tidegate-target: %s\n' "$1" >&2
    exit "${2:-1}"
}

check_name() {
    case $1 in
        tg-*) ;;
        *) fail 'a name begins with tg-' 2 ;;
    esac
    case ${1#tg-} in
        '' | *[!a-z0-9]*) fail 'a name is tg- and letters and digits' 2 ;;
    esac
    [ "${#1}" -le 32 ] || fail 'a name has 32 characters at most' 2
}

check_group() {
    case $1 in
        '' | -* | *[!a-z0-9_-]*) fail 'that is no name of a group' 2 ;;
    esac
    case $groups in
        *" $1 "*) ;;
        *) fail "this script gives nobody the group $1: print and install it anew" 2 ;;
    esac
}

check_day() {
    case $1 in
        [0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]) ;;
        *) fail 'a day is written YYYY-MM-DD' 2 ;;
    esac
}

check_ends() {
    case $1 in
        0* | *[!0-9]*) fail 'when an order ends is written in microseconds' 2 ;;
    esac
    [ "${#1}" = 16 ] || fail 'when an order ends is written in microseconds' 2
}

# Whether this is the newest order about an account, and it has not ended: noted before anything is done. What is
# noted is of no use once it is certain to have ended, and goes after a week.
begin() {
    now=$(date +%s)
    seconds=${2%??????}
    [ "$seconds" -gt "$now" ] ||
        fail "this order ended before it came, at $seconds: it was held up, or the clock here, $now, is ahead"
    [ "$seconds" -le "$((now + ahead))" ] ||
        fail "this order ends at $seconds: the clock here, $now, is too far behind"
    mkdir -p "$state/orders"
    noted=0
    if [ -e "$state/orders/$1" ]; then
        read -r noted <"$state/orders/$1" || noted=
    fi
    case $noted in
        '' | *[!0-9]*) fail "$state/orders/$1 holds no number" ;;
    esac
    [ "$2" -gt "$noted" ] || fail "a newer order about $1 came before this one"
    printf '%s\n' "$2" >"$state/orders.new"
    sync "$state/orders.new"
    mv -f "$state/orders.new" "$state/orders/$1"
    find "$state/orders" -type f -mtime +7 -delete
}

# Held until this ends, so that nobody else works on accounts meanwhile.
take_turn() {
    mkdir -p "$state"
    chmod 0700 "$state"
    exec 9>"$state/lock"
    flock -w 40 9 || fail 'another one is at work for too long'
}

end_turn() {
    exec 9>&-
}

# The number of an account, nothing where there is none. Only of one that this script has made.
number_of() {
    number=$(grep "^$1:" /etc/passwd | cut -d: -f3) || number=
    [ -n "$number" ] || return 0
    case $number in
        *[!0-9]*) fail "$1 is there twice, or has no number" ;;
    esac
    { [ "$number" -ge "$first" ] && [ "$number" -le "$last" ]; } ||
        fail "$1 was made by somebody else: its number is $number"
}

# The number of a group, nothing where there is none. Only of one that this script has made.
check_own_group() {
    number=$(grep "^$1:" /etc/group | cut -d: -f3) || number=
    [ -n "$number" ] || return 0
    case $number in
        *[!0-9]*) fail "the group $1 is there twice, or has no number" ;;
    esac
    { [ "$number" -ge "$first" ] && [ "$number" -le "$last" ]; } ||
        fail "the group $1 was made by somebody else: its number is $number"
}

# The status of each thread there is, as each has numbers of its own. However many there are, their names are no
# program's arguments at once. Only one program at a time writes what is read here, as `find` writes what it could not
# do in pieces, and others come between them: so that is told by a name that is not there.
statuses() {
    find /proc -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%p/task\0' 2>/dev/null | {
        missed=$(threads 2>&1 >&3 | grep -c -v ': No such \(file or directory\|process\)$') || :
        [ "$missed" = 0 ] || printf '/proc/unread\0' >&3
    } 3>&1 | xargs -0 cat 2>&1 && echo 'Read: 0' || echo "Read: $?"
}

# The names of those, of the processes that come in.
threads() {
    code=0
    xargs -0 -r sh -c 'exec find "$@" -mindepth 1 -maxdepth 1 -printf "%p/status\0"' sh || code=$?
    [ "$code" = 0 ] || [ "$code" = 123 ] || echo "it broke off with $code" >&2
}

# What runs with this number as any of its four, or as a group's, which is nobody else's and who has become somebody
# else keeps; in `found`. What is root's stays. False where it has not seen everything.
see() {
    found=$(statuses | awk -v number="$1" -v self="$$" '
        /^cat: / && (/^cat: .?\/proc\/unread/ || !/No such (file|process)/) { unread = 1 }
        /^State:/ { ended = ($2 == "Z" || $2 == "X") }
        /^Tgid:/ { process = $2 }
        /^Pid:/ { if ($2 == self) seen = 1 }
        /^Uid:/ { roots = ($2 + $3 + $4 + $5 == 0) }
        !roots && /^(Uid|Gid|Groups):/ { for (i = 2; i <= NF; i++) if ($i == number) its = 1 }
        /^Threads:/ { if (its && !ended && !(process in told)) { told[process]; print process } its = 0 }
        /^Read: / { whole = ($2 == 0 || $2 == 123) }
        END { exit (unread || !seen || !whole) }')
}

# The same. It fails where it has not seen everything: what cannot be looked at is not nothing.
look() {
    see "$1" || fail "cannot see in /proc what runs, so nobody knows whether something of $2 does"
}

# Runs what signals, with nothing of ours open in it. It ends with 42 where it has.
signal() {
    timeout -s KILL 2 env -i PATH="$PATH" "$@" </dev/null >/dev/null 2>&1 9>&-
}

# As the account itself, so that it reaches all of its processes at once and nobody else: a number that was
# looked up before may be somebody else's by now. What is somebody else's as well (real and saved) the account can
# neither signal nor stop nor look into, as long as it becomes no other program. Where there is nothing to do that
# with, they may stop it, as it is theirs then. False where nobody knows whether the signal was sent.
signal_all() {
    # shellcheck disable=SC2016 # perl's own
    signal perl -e '
        my ($signal, $number, $nobody) = @ARGV;
        ($<, $>) = ($nobody, $number);
        exit 1 unless $< == $nobody && $> == $number;
        kill $signal, -1;
        exit 42' "$1" "$2" "$nobody" || [ "$?" != 42 ] || return 0
    for python in python3 /usr/libexec/platform-python; do
        signal "$python" -I -S -c '
import os, sys
signal, number, nobody = map(int, sys.argv[1:])
os.setresuid(nobody, number, nobody)
try:
    os.kill(-1, signal)
except OSError:
    pass
os._exit(42)' "$1" "$2" "$nobody" || [ "$?" != 42 ] || return 0
    done
    signal setpriv --reuid "$2" --regid "$2" --clear-groups sh -c "kill -$1 -1; exit 42" ||
        [ "$?" != 42 ] || return 0
    return 1
}

# SIGKILL, whatever can be seen. False where nobody knows whether it was sent.
kill_all() {
    for tree in /sys/fs/cgroup /sys/fs/cgroup/unified; do
        slice=$tree/user.slice/user-$1.slice
        [ ! -e "$slice/cgroup.kill" ] || echo 1 2>/dev/null >"$slice/cgroup.kill" || :
    done
    signal_all 9 "$1"
}

# Ends all of a number at once: until SIGKILL was sent for certain, and nothing is seen.
end_now() {
    looks=0
    while :; do
        sent=0
        kill_all "$1" || sent=1
        if see "$1"; then
            [ "$sent$found" != 0 ] || return 0
        elif [ "$looks" -ge 10 ]; then
            look "$1" "$2"
        fi
        # What is left then is none that the account may signal.
        for pid in $found; do
            kill -KILL "$pid" 2>/dev/null || :
        done
        looks=$((looks + 1))
        if [ "$looks" -gt 90 ]; then
            [ "$sent" = 0 ] || fail "what ends the processes of $2 was ended itself"
            fail "processes of $2 do not end: $(echo "$found" | tr '\n' ' ' | head -c 200)"
        fi
        sleep 0.1
    done
}

# Ends what runs, and says in `ended` how many were seen. What it is told to do does not hang on what can be seen:
# what is another one before it is looked at is never seen.
end_all() {
    if [ -d /run/systemd/system ] && command -v loginctl >/dev/null; then
        timeout 5 loginctl disable-linger "$1" >/dev/null 2>&1 || :
    fi
    ended=0
    if see "$2"; then
        for pid in $found; do
            ended=$((ended + 1))
        done
    fi
    signal_all 15 "$2" || :
    if [ -d /run/systemd/system ] && command -v loginctl >/dev/null; then
        timeout 5 loginctl terminate-user "$1" >/dev/null 2>&1 || :
    fi
    # A second to end by themselves.
    looks=0
    while [ -n "$found" ] && [ "$looks" -lt 10 ]; do
        sleep 0.1
        see "$2" || :
        looks=$((looks + 1))
    done
    end_now "$2" "$1"
}

# The same for each number that the account has had, by what was set aside of it: once it is gone nobody else knows.
end_earlier() {
    for left in "$aside/$1".*; do
        its=${left#"$aside/$1."}
        its=${its%.*}
        case $its in
            '' | 0 | *[!0-9]*) ;;
            *) end_now "$its" "$1" ;;
        esac
    done
}

# Whether an account of ours has a group that is lent, and is no member of it.
is_stranger() {
    name=$(getent passwd "$1" | cut -d: -f1)
    case $name in
        tg-*) ;;
        *) return 1 ;;
    esac
    group=$(getent group "$2" | cut -d: -f1)
    case $groups in
        *" ${group:-/} "*) ;;
        *) return 1 ;;
    esac
    case " $(id -G "$name") " in
        *" $2 "*) return 1 ;;
    esac
}

# Ends what other accounts of ours run with a group that is lent and that they were not given: they had it of a
# setgid file, which has no such bit any more.
end_lent() {
    looks=0
    while :; do
        strangers=$(statuses | awk -v first="$first" -v last="$last" -v self="$$" '
            /^cat: / && (/^cat: .?\/proc\/unread/ || !/No such (file|process)/) { unread = 1 }
            /^State:/ { ended = ($2 == "Z" || $2 == "X") }
            /^Tgid:/ { process = $2; if ($2 == self) seen = 1 }
            /^Uid:/ { ours = ($2 >= first && $2 <= last && !ended); user = $2 }
            ours && /^Gid:/ { for (i = 2; i <= 5; i++) print process, user, $i }
            END { if (unread || !seen) print "?" }' | sort -u |
            while read -r pid user its; do
                if [ "$pid" = "?" ] || is_stranger "$user" "$its"; then
                    printf ' %s' "$pid"
                fi
            done)
        [ -n "$strangers" ] || return 0
        looks=$((looks + 1))
        [ "$looks" -le 50 ] || fail "what others run with a group of $1 does not end:$strangers"
        for pid in $strangers; do
            kill -KILL "$pid" 2>/dev/null || :
        done
        sleep 0.1
    done
}

remove_jobs() {
    if command -v crontab >/dev/null; then
        crontab -r -u "$1" >/dev/null 2>&1 || :
    fi
    rm -f "/var/spool/cron/crontabs/$1" "/var/spool/cron/$1" "/var/mail/$1" "/var/spool/mail/$1"
    if command -v atq >/dev/null; then
        atq 2>/dev/null | while read -r job rest; do
            case $rest in
                *" $1") atrm "$job" 2>/dev/null || : ;;
            esac
        done
    fi
}

# What is mounted at or below a place, and by the account wherever that is (FUSE).
mounts() {
    awk -v place="$1" -v user="user_id=${2:-none}" '
        $5 == place || index($5, place "/") == 1 || index("," $NF ",", "," user ",") { print $5 }' \
        /proc/self/mountinfo
}

# Unmounts that. mountinfo has blanks and the like in octal (proc(5)), as printf reads it. Others may put links in
# the places of directories on the way there, so it is gone to and looked where that is.
unmount() {
    mounts "$1" "$2" |
        while IFS= read -r mounted; do
            # shellcheck disable=SC2059 # it is a format: its percent signs are doubled
            mounted=$(printf "$(printf '%s' "$mounted" | sed 's/%/%%/g')/.")
            # shellcheck disable=SC2016 # the other shell's own
            timeout 5 sh -c '
                above=${1%/*}
                cd -P -- "$above/" && [ "$(pwd -P && echo .)" = "$(printf "%s\n." "$above")" ] &&
                    exec umount -c -l -- "./${1##*/}"' sh "${mounted%/.}" </dev/null >/dev/null 2>&1 9>&- || :
        done
}

# Puts a home where nobody comes in any more. Its number goes with it, also where there is no home: whoever comes
# later knows by it that there is something left to do.
set_aside() {
    home=$homes/$1
    left=$aside/$1.${2:-0}.$$
    mkdir -p -m 0700 "$aside"
    if [ ! -e "$home" ] && [ ! -L "$home" ]; then
        [ -z "$2" ] || mkdir "$left"
        return 0
    fi
    if [ ! -L "$home" ]; then
        chown -h root:root "$home"
        chmod 0700 "$home"
    fi
    mv -T -- "$home" "$left" || fail "$home cannot be set aside"
}

# Removes what was set aside. It takes as long as there are files, so it is done when it is others' turn; one at
# a time for each home.
remove_aside() {
    unseen=
    for left in "$aside/$1".*; do
        { [ -e "$left" ] || [ -L "$left" ]; } || continue
        its=${left#"$aside/$1."}
        its=${its%.*}
        if [ -d "$left" ] && [ ! -L "$left" ]; then
            exec 8<"$left"
            flock -n 8 || fail "another one is still at work in what $1 has left"
        fi
        looks=0
        while [ -n "$(mounts "$left" '')" ] && [ "$looks" -lt 20 ]; do
            unmount "$left" ''
            looks=$((looks + 1))
        done
        [ "$its" = 0 ] || strip "$left" "$its"
        rm -rf --one-file-system "$left"
        exec 8<&-
        { [ ! -e "$left" ] && [ ! -L "$left" ]; } || fail "$left cannot be removed"
    done
    end_lent "$1"
}

# Files with the setgid or setuid bit that the account has left lose their group and, by chown(2), the bit.
strip() {
    # What others put there must not hold this up: where there is too much to look through, it is said.
    strip_below "$1" "$2" 600 || {
        [ "$?" = 124 ] || fail "cannot look through $1 for files with the setgid bit"
        unseen="$unseen unseen:$homes"
    }
    for place in $shared; do
        strip_below "$place" "$2" 10 2>/dev/null || [ "$?" != 124 ] || unseen="$unseen unseen:$place"
    done
}

# Below a place, of a number, in so many seconds.
strip_below() {
    timeout "$3" find "$1" -xdev -user "$2" -type f -perm /6000 -execdir chown -h "$2:$2" '{}' +
}

# Everything but what takes as long as the account has left files, which is set aside.
remove() {
    check_own_group "$1"
    number_of "$1"
    ended=0
    if [ -n "$number" ]; then
        # First nobody comes in any more, whatever fails after it.
        usermod -L -e 1970-01-02 -s /bin/false "$1"
        end_all "$1" "$number"
        remove_jobs "$1"
        # A job may have begun something before it went.
        end_again=$ended
        end_all "$1" "$number"
        ended=$((ended + end_again))
    fi
    unmount "$homes/$1" "$number"
    set_aside "$1" "$number"
    if [ -n "$number" ]; then
        # Its processes were looked for: what userdel itself finds are ones that have ended.
        userdel -f "$1" 2>/dev/null || fail "userdel did not remove $1"
    fi
    # Once more, now that nobody becomes it any more.
    end_earlier "$1"
    if grep -q "^$1:" /etc/group; then
        groupdel "$1" || fail "groupdel did not remove $1"
    fi
    ! grep -q "^$1:" /etc/passwd || fail "$1 is still there"
}

# The next number that nobody has had, in `number`.
draw_number() {
    number=$first
    if [ -e "$state/next" ]; then
        read -r number <"$state/next" || number=
    fi
    case $number in
        '' | *[!0-9]*) fail "$state/next holds no number" ;;
    esac
    while grep -q "^[^:]*:[^:]*:$number:" /etc/passwd /etc/group; do
        number=$((number + 1))
    done
    { [ "$number" -ge "$first" ] && [ "$number" -le "$last" ]; } ||
        fail "no number from $first to $last is left: give this script others"
    printf '%s\n' "$((number + 1))" >"$state/next.new"
    sync "$state/next.new"
    mv -f "$state/next.new" "$state/next"
}

make() {
    # What an earlier try left is not built upon.
    remove "$1"
    draw_number
    shell=/bin/bash
    [ -x "$shell" ] || shell=/bin/sh
    groupadd -g "$number" "$1" >&2
    # A password of `*` fits nothing and is not the `!` for which sshd without PAM turns keys away.
    useradd -u "$number" -g "$number" -G "$2" -e "$3" -p '*' -s "$shell" -c "tidegate grant" \
        -l -m -d "$homes/$1" -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0 -K UID_MAX="$last" "$1" >&2
    chmod 0700 "$homes/$1"
}

list() {
    count=0
    while IFS=: read -r name _secret number _rest; do
        case $name in
            tg-*) ;;
            *) continue ;;
        esac
        count=$((count + 1))
        printf '%s %s\n' "$name" "$number"
    done </etc/passwd
    printf 'listed %s orders-end\n' "$count"
}

[ "$(id -u)" = 0 ] || fail 'it has to be run as root'
case "${1-} $#" in
    'make 5')
        check_name "$2"
        check_group "$3"
        check_day "$4"
        check_ends "$5"
        take_turn
        begin "$2" "$5"
        make "$2" "$3" "$4"
        printf 'made %s %s\n' "$2" "$number"
        ;;
    'remove 3')
        check_name "$2"
        check_ends "$3"
        take_turn
        begin "$2" "$3"
        remove "$2"
        end_turn
        remove_aside "$2"
        printf 'removed %s %s%s\n' "$2" "$ended" "$unseen"
        ;;
    'list 1')
        list
        ;;
    *)
        fail 'usage: make NAME GROUP YYYY-MM-DD ENDS | remove NAME ENDS | list' 2
        ;;
esac
