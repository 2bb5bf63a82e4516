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

# What runs with this number as any of its four, in `found`; also where only its first thread has ended. False
# where it has not seen everything. However many there are, their names are no program's arguments at once.
see() {
    found=$({ find /proc -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%p/status\0' 2>/dev/null |
        xargs -0 cat 2>&1 && echo 'Read: 0' || echo "Read: $?"; } |
        awk -v number="$1" -v self="$$" '
        /^cat: / && !/No such (file|process)/ { unread = 1 }
        /^State:/ { ended = ($2 == "Z" || $2 == "X") }
        /^Pid:/ { pid = $2; if (pid == self) seen = 1 }
        /^Uid:/ { its = ($2 == number || $3 == number || $4 == number || $5 == number) }
        /^Threads:/ { if (its && (!ended || $2 > 1)) print pid; its = 0 }
        /^Read: / { whole = ($2 == 0 || $2 == 123) }
        END { exit (unread || !seen || !whole) }')
}

# The same. It fails where it has not seen everything: what cannot be looked at is not nothing.
look() {
    see "$1" || fail "cannot see in /proc what runs, so nobody knows whether something of $2 does"
}

# As the account itself, so that it reaches all of its processes at once and nobody else: a number that was
# looked up before may be somebody else's by now. They may stop it, as it is theirs then, but not what ends it; and
# nothing of ours is open in it.
signal_all() {
    timeout -s KILL 2 setpriv --reuid "$2" --regid "$2" --clear-groups sh -c "kill -$1 -1" \
        </dev/null >/dev/null 2>&1 9>&- || :
}

# What is left then is none that the account may signal.
kill_all() {
    signal_all KILL "$1"
    see "$1" || return 0
    for pid in $found; do
        kill -KILL "$pid" 2>/dev/null || :
    done
}

# Ends what runs, and says in `ended` how many were seen. What it is told to do does not hang on what can be seen.
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
    signal_all TERM "$2"
    if [ -d /run/systemd/system ] && command -v loginctl >/dev/null; then
        timeout 5 loginctl terminate-user "$1" >/dev/null 2>&1 || :
    fi
    looks=0
    until see "$2" && [ -z "$found" ]; do
        looks=$((looks + 1))
        [ "$looks" -le 20 ] || look "$2" "$1"
        [ "$looks" -le 100 ] || fail "processes of $1 do not end: $(echo "$found" | tr '\n' ' ' | head -c 200)"
        # A second to end by themselves.
        [ "$looks" -le 10 ] || kill_all "$2"
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

# What is mounted below the home, and by the account wherever that is (FUSE). mountinfo has blanks and the like in
# octal (proc(5)), as printf reads it.
unmount() {
    home=$homes/$1
    awk -v home="$home" -v user="user_id=${2:-none}" '
        $5 == home || index($5, home "/") == 1 || index("," $NF ",", "," user ",") { print $5 }' \
        /proc/self/mountinfo |
        while IFS= read -r mounted; do
            # shellcheck disable=SC2059 # it is a format: its percent signs are doubled
            mounted=$(printf "$(printf '%s' "$mounted" | sed 's/%/%%/g')/.")
            umount -l "${mounted%/.}" 2>/dev/null || :
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
        [ "$its" = 0 ] || strip "$left" "$its"
        rm -rf --one-file-system "$left"
        exec 8<&-
        { [ ! -e "$left" ] && [ ! -L "$left" ]; } || fail "$left cannot be removed"
    done
}

# Files with the setgid or setuid bit that the account has left lose their group and, by chown(2), the bit.
strip() {
    strip_below "$1" "$2" 0 || fail "cannot look through $1 for files with the setgid bit"
    # What others put there must not hold this up: where there is too much to look through, it is said.
    for place in $shared; do
        strip_below "$place" "$2" 10 2>/dev/null || [ "$?" != 124 ] || unseen="$unseen unseen:$place"
    done
}

# Below a place, of a number, in so many seconds; 0 for as many as it takes.
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
    unmount "$1" "$number"
    set_aside "$1" "$number"
    if [ -n "$number" ]; then
        # Its processes were looked for: what userdel itself finds are ones that have ended.
        userdel -f "$1" 2>/dev/null || fail "userdel did not remove $1"
        look "$number" "$1"
        [ -z "$found" ] || fail "something of $1 runs again"
    fi
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
    sync
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
