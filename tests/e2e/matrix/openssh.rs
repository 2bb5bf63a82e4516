//! OpenSSH and what runs over its `ssh`.

use super::cases::Case;
use super::cell::{Client, Way};
use super::field::Road;
use Way::Same;

/// The roads that `ssh_config` can describe.
const ROADS: &[Road] = &[Road::Plus, Road::Jump, Road::Chain, Road::Command];

pub(super) const SSH: Client = Client {
    name: "ssh",
    prepare: "",
    prelude: r#"ssh() { command ssh -F "$CONFIG" "$@"; }; export -f ssh"#,
    roads: ROADS,
    cells: &[
        (Case::Exec, Same(r#"ssh there "$REMOTE""#)),
        (Case::Signal, Same(r#"ssh there "$REMOTE""#)),
        (
            Case::Input,
            Same(r#"printf 'one\ntwo\n' | ssh there "$REMOTE""#),
        ),
        (
            Case::Bulk,
            Same(r#"ssh there "$REMOTE" < "$BIG" > back && whole "$BIG" back"#),
        ),
        (
            Case::Terminal,
            Same(r#"terminal ssh -tt -o LogLevel=ERROR there "FAR=$FAR; $REMOTE""#),
        ),
        (
            Case::Environment,
            Same(r#"LC_MATRIX=passes ssh -o SendEnv=LC_MATRIX there "$REMOTE""#),
        ),
        (
            Case::Sessions,
            Same(
                r#"ssh -o ControlMaster=yes -o ControlPath="$HOME/mux" -o ControlPersist=60 -N -f there
                for round in 1 2 3 4 5; do
                    for number in 1 2 3 4 5 6; do
                        ssh -o ControlPath="$HOME/mux" there "$REMOTE $round.$number" > "got.$round.$number" &
                    done
                    wait $(jobs -p)
                done
                echo "$(cat got.* | wc -l) of 30"
                ssh -o ControlPath="$HOME/mux" -O exit there 2>/dev/null"#,
            ),
        ),
        (
            Case::Keepalive,
            Same(r#"ssh -o ServerAliveInterval=1 -o ServerAliveCountMax=3 there "$REMOTE""#),
        ),
        (
            Case::Rekey,
            Same(r#"ssh -o RekeyLimit=512K there "$REMOTE" < "$BIG" > back && whole "$BIG" back"#),
        ),
        (
            Case::Local,
            Same(
                r#"ssh -N -L "$PORT_A:localhost:$SERVICE" there & listens "$PORT_A" && talk "$PORT_A""#,
            ),
        ),
        (
            Case::LocalSocket,
            Same(r#"ssh -N -L "$PORT_A:$SOCKET" there & listens "$PORT_A" && talk "$PORT_A""#),
        ),
        (
            Case::Dynamic,
            Same(
                r#"ssh -N -D "$PORT_A" there & listens "$PORT_A" &&
                curl -sS --socks5-hostname "127.0.0.1:$PORT_A" "http://localhost:$WEB/""#,
            ),
        ),
        (
            Case::Reverse,
            Same(
                r#"ssh -N -R "$PORT_A:localhost:$SERVICE" there & listens "$PORT_A" && talk "$PORT_A""#,
            ),
        ),
        (
            Case::ReverseSocket,
            Same(
                r#"ssh -N -R "$FAR/home/socket:localhost:$WEB" there & until [ -S "$FAR/home/socket" ]; do sleep 0.02; done
                curl -sS --unix-socket "$FAR/home/socket" "http://localhost/""#,
            ),
        ),
        (
            Case::Netcat,
            Same(r#"echo hello | ssh -W "localhost:$SERVICE" there"#),
        ),
        (
            Case::Agent,
            Same(r#"SSH_AUTH_SOCK=$AGENT ssh -o IdentityAgent=SSH_AUTH_SOCK -A there "$REMOTE""#),
        ),
        (
            Case::Display,
            Same(r#"DISPLAY=$SCREEN ssh -Y there "$REMOTE""#),
        ),
        // It says `no-more-sessions` itself whenever it is no master.
        (
            Case::NoMore,
            Same(r#"ssh there "$REMOTE" && ssh there "$REMOTE""#),
        ),
    ],
};

pub(super) const SCP: Client = Client {
    name: "scp",
    prepare: "",
    prelude: r#"scp() { command scp -q -F "$CONFIG" "$@"; }"#,
    roads: &[Road::Plus, Road::Jump],
    cells: SCP_CELLS,
};

/// The old protocol, which the target's shell takes part in.
pub(super) const SCP_O: Client = Client {
    name: "scp -O",
    prepare: "",
    prelude: r#"scp() { command scp -q -O -F "$CONFIG" "$@"; }; quote() { printf %q "$1"; }"#,
    roads: &[Road::Plus, Road::Jump],
    cells: SCP_CELLS,
};

const SCP_CELLS: &[(Case, Way)] = &[
    (
        Case::Bulk,
        Same(r#"scp "$BIG" there:"$FAR/big" && scp there:"$FAR/big" back && whole "$BIG" back"#),
    ),
    (
        Case::Files,
        Same(
            r#"mkdir from && echo one > from/renamed && ln from/renamed from/two && chmod 640 from/two
            scp -p -r from there:"$FAR/to" && scp -p -r there:"$FAR/to" back && cat back/renamed && ls back"#,
        ),
    ),
    (
        Case::Directory,
        Same(
            r#"scp -r "$MANY" there:"$FAR/many" && scp -r there:"$FAR/many" back && ls back | wc -l"#,
        ),
    ),
    (
        Case::OddName,
        Same(
            r#"declare -F quote >/dev/null || quote() { echo "$1"; }
            cp "$BIG" "$ODD" && scp "./$ODD" "there:$(quote "$FAR/$ODD")" &&
            scp "there:$(quote "$FAR/$ODD")" back && whole "$BIG" back"#,
        ),
    ),
];

pub(super) const SFTP: Client = Client {
    name: "sftp",
    prepare: "",
    prelude: r#"sftp() { command sftp -q -F "$CONFIG" -b - "$@" there; }"#,
    roads: &[Road::Plus, Road::Jump],
    cells: &[
        (
            Case::Bulk,
            Same(
                r#"printf 'put %s %s\nget %s back\n' "$BIG" "$FAR/big" "$FAR/big" | sftp && whole "$BIG" back"#,
            ),
        ),
        (
            Case::Files,
            Same(
                "echo one > one
                sftp <<END
cd $FAR
pwd
put -p one
put one two
rename two renamed
mkdir folder
put one folder/three
ln renamed hard
chmod 600 renamed
get -p renamed back
get folder/three
ls -1
rm hard
mkdir gone
rmdir gone
-get nothing
-mkdir folder
ls -1 folder
END",
            ),
        ),
        (
            Case::Link,
            Same(
                r#"printf 'symlink renamed %s\nls -l %s\n' "$FAR/link" "$FAR/link" | sftp >/dev/null && readlink "$FAR/link""#,
            ),
        ),
        (
            Case::Directory,
            Same(
                r#"printf 'mkdir %s\nput -R %s/. %s\n' "$FAR/many" "$MANY" "$FAR/many" | sftp > said &&
                echo "ls -1 $FAR/many" | sftp | grep -c '/[0-9]*$'
                rm said"#,
            ),
        ),
        (
            Case::OddName,
            Same(
                r#"name=${ODD//\"/\\\"} && cp "$BIG" "$ODD" &&
                printf 'put "%s" "%s"\nget "%s" back\n' "$name" "$FAR/$name" "$FAR/$name" | sftp &&
                whole "$BIG" back"#,
            ),
        ),
        (
            Case::Rekey,
            Same(
                r#"printf 'put %s %s\nget %s back\n' "$BIG" "$FAR/big" "$FAR/big" |
                sftp -o RekeyLimit=512K && whole "$BIG" back"#,
            ),
        ),
    ],
};

pub(super) const RSYNC: Client = Client {
    name: "rsync",
    prepare: "",
    prelude: r#"rsync() { command rsync -e "ssh -F $CONFIG" "$@"; }"#,
    roads: &[Road::Plus, Road::Jump],
    cells: &[
        (
            Case::Bulk,
            Same(
                r#"rsync "$BIG" there:"$FAR/big" && rsync there:"$FAR/big" back && whole "$BIG" back"#,
            ),
        ),
        (
            Case::Files,
            Same(
                r#"mkdir -p from/folder && echo one > from/renamed && ln -s renamed from/link && date > from/folder/old
                rsync -a --delete from/ there:"$FAR/to/" && rm from/folder/old && echo two >> from/renamed
                rsync -a --delete --itemize-changes from/ there:"$FAR/to/" | grep -v '^.d' | cut -c1-3,12-
                rsync -a there:"$FAR/to/" back/ && cat back/link && ls back/folder"#,
            ),
        ),
        (
            Case::Link,
            Same(
                r#"ln -s renamed link && rsync -a link there:"$FAR/link" && rsync -a there:"$FAR/link" back && readlink "$FAR/link" back"#,
            ),
        ),
        (
            Case::Directory,
            Same(
                r#"rsync -a "$MANY/" there:"$FAR/many/" && rsync -az there:"$FAR/many/" back/ && ls back | wc -l"#,
            ),
        ),
        (
            Case::OddName,
            Same(
                r#"cp "$BIG" "$ODD" && rsync "./$ODD" "there:$FAR/$ODD" &&
                rsync "there:$FAR/$ODD" back && whole "$BIG" back"#,
            ),
        ),
    ],
};

pub(super) const GIT: Client = Client {
    name: "git",
    prepare: "",
    prelude: r#"export GIT_SSH_COMMAND="ssh -F $CONFIG" GIT_CONFIG_NOSYSTEM=1
        export GIT_AUTHOR_DATE='2026-01-01 00:00:00 +0000' GIT_COMMITTER_DATE='2026-01-01 00:00:00 +0000'
        export GIT_AUTHOR_NAME=alice GIT_AUTHOR_EMAIL=alice@example.com
        export GIT_COMMITTER_NAME=alice GIT_COMMITTER_EMAIL=alice@example.com"#,
    roads: &[Road::Plus, Road::Jump],
    cells: &[
        (
            Case::Files,
            Same(
                r#"cd "$HOME" && git init -q --bare -b main "$FAR/home/work.git" &&
                git clone -q there:"$FAR/home/work.git" one 2>/dev/null && cd one && git checkout -q -b main &&
                echo one > first && git add first && git commit -q -m 'renamed' && git push -q origin main &&
                git clone -q there:"$FAR/home/work.git" ../two && cd ../two && git log --format='%H %s' &&
                git fetch -q && git ls-remote -q && cat first"#,
            ),
        ),
        (
            Case::Bulk,
            Same(
                r#"cd "$HOME" && git init -q --bare -b main "$FAR/home/big.git" && git init -q -b main one && cd one &&
                cp "$BIG" big && git add big && git commit -q -m big && git push -q there:"$FAR/home/big.git" main &&
                git clone -q there:"$FAR/home/big.git" ../two && whole "$BIG" ../two/big"#,
            ),
        ),
    ],
};

pub(super) const SSHFS: Client = Client {
    name: "sshfs",
    prepare: r#"[ -w /dev/fuse ] || { echo "there is no /dev/fuse to write to"; exit 77; }
        unshare -m true 2>/dev/null || { echo "file systems may not be mounted here"; exit 77; }"#,
    prelude: r#"mkdir "$HOME/mounted"
        mounted() { sshfs -F "$CONFIG" there:"$FAR" "$HOME/mounted" && cd "$HOME/mounted"; }
        leave() { local status=$?; cd "$NEAR" && fusermount3 -u "$HOME/mounted"; return $status; }"#,
    roads: &[Road::Plus, Road::Jump],
    cells: &[
        (
            Case::Files,
            Same(
                "mounted && mkdir folder && echo one > folder/one && mv folder/one renamed && chmod 600 renamed && stat -c '%a %s %n' renamed && ls && truncate -s 2 renamed &&
                rmdir folder && ! cat nothing; leave",
            ),
        ),
        (
            Case::Link,
            Same(
                "mounted && echo one > renamed && ln -s renamed link && cat link && readlink link; leave",
            ),
        ),
        (
            Case::Bulk,
            Same(r#"mounted && cp "$BIG" big && whole "$BIG" big; leave"#),
        ),
        (
            Case::Directory,
            Same(r#"cp -r "$MANY" "$FAR/many" && mounted && ls many | wc -l; leave"#),
        ),
        (
            Case::OddName,
            Same(r#"mounted && cp "$BIG" "$ODD" && whole "$BIG" "$ODD"; leave"#),
        ),
    ],
};
