#!/bin/sh
# tidegate-target: makes and removes the accounts of grants at `@TARGET@`, for tidegate.
#
#   tidegate-target make NAME GROUP YYYY-MM-DD   an account of that group, which expires on that day
#   tidegate-target remove NAME                  ends what it does and removes it, with its home
#   tidegate-target list                         the accounts that there are
#
# Belongs to root, as /usr/local/sbin/tidegate-target with mode 0755. It needs shadow's useradd, GNU
# coreutils and util-linux. It may be run again after whatever went wrong.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
# Who asked may be gone before it is done.
trap '' HUP

# The groups that a grant can be given, and no others.
groups=' @GROUPS@ '
# The numbers of accounts and of their own groups: above those that systems give out, below those of
# subuid(5). Each is used once, so what somebody left elsewhere never becomes somebody else's; but a file with the
# setgid bit and the granted group, left outside of the home, keeps that group's rights: mount nosuid what they can write.
first=70000
last=99999
state=/var/lib/tidegate-target
homes=/home

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

# Held until this ends, so that nobody else works on accounts meanwhile.
take_turn() {
    mkdir -p "$state"
    chmod 0700 "$state"
    exec 9>"$state/lock"
    flock -w 40 9 || fail 'another one is at work for too long'
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

# What runs with this number as any of its four; also where only its first thread has ended.
running() {
    cat /proc/[0-9]*/status 2>/dev/null | awk -v number="$1" '
        /^State:/ { ended = ($2 == "Z" || $2 == "X") }
        /^Pid:/ { pid = $2 }
        /^Uid:/ { its = ($2 == number || $3 == number || $4 == number || $5 == number) }
        /^Threads:/ { if (its && (!ended || $2 > 1)) print pid; its = 0 }'
}

# As the account itself, so that it reaches all of its processes at once and nobody else. They may stop
# it, as it is theirs then, but not what ends it; and nothing of ours is open in it.
kill_all() {
    timeout -s KILL 2 setpriv --reuid "$1" --regid "$1" --clear-groups sh -c 'kill -KILL -1' \
        </dev/null >/dev/null 2>&1 9>&- || :
    for pid in $(running "$1"); do
        kill -KILL "$pid" 2>/dev/null || :
    done
}

# Ends what runs, and says in `ended` how many there were.
end_all() {
    if [ -d /run/systemd/system ] && command -v loginctl >/dev/null; then
        timeout 5 loginctl disable-linger "$1" >/dev/null 2>&1 || :
    fi
    ended=0
    for pid in $(running "$2"); do
        ended=$((ended + 1))
        kill -TERM "$pid" 2>/dev/null || :
    done
    if [ -d /run/systemd/system ] && command -v loginctl >/dev/null; then
        timeout 5 loginctl terminate-user "$1" >/dev/null 2>&1 || :
    fi
    look=0
    while [ -n "$(running "$2")" ]; do
        look=$((look + 1))
        [ "$look" -le 100 ] || fail "processes of $1 do not end: $(running "$2" | tr '\n' ' ')"
        # A second to end by themselves.
        [ "$look" -le 10 ] || kill_all "$2"
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

remove_home() {
    home=$homes/$1
    awk -v home="$home" '$5 == home || index($5, home "/") == 1 { print $5 }' /proc/self/mountinfo |
        while read -r mounted; do
            umount -l "$mounted" 2>/dev/null || :
        done
    rm -rf --one-file-system "$home"
    { [ ! -e "$home" ] && [ ! -L "$home" ]; } || fail "$home cannot be removed"
}

remove() {
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
    remove_home "$1"
    if [ -n "$number" ]; then
        # Its processes were looked for: what userdel itself finds are ones that have ended.
        userdel -f "$1" 2>/dev/null || fail "userdel did not remove $1"
        [ -z "$(running "$number")" ] || fail "something of $1 runs again"
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
    printf 'listed %s\n' "$count"
}

[ "$(id -u)" = 0 ] || fail 'it has to be run as root'
case "${1-} $#" in
    'make 4')
        check_name "$2"
        check_group "$3"
        check_day "$4"
        take_turn
        make "$2" "$3" "$4"
        printf 'made %s %s\n' "$2" "$number"
        ;;
    'remove 2')
        check_name "$2"
        take_turn
        remove "$2"
        printf 'removed %s %s\n' "$2" "$ended"
        ;;
    'list 1')
        list
        ;;
    *)
        fail 'usage: make NAME GROUP YYYY-MM-DD | remove NAME | list' 2
        ;;
esac
