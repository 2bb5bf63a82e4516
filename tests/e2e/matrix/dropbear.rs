//! dropbear's `dbclient`. It knows no certificates, so it shows the registered key and believes the
//! bastion's plain host key.

use super::cases::Case;
use super::cell::{Client, Way};
use super::field::Road;
use Way::Same;

pub(super) const DBCLIENT: Client = Client {
    name: "dbclient",
    prepare: r#"dropbearconvert openssh dropbear "$KEY" "$TOOLS/dropbear" 2>&1"#,
    prelude: r#"mkdir -m 700 "$HOME/.ssh"
        awk -v name="[$HOST]:$PORT" '$1 == name { print "localhost", $2, $3 }' "$KNOWN" > "$HOME/.ssh/known_hosts"
        dbclient() { command dbclient -i "$TOOLS/dropbear" -p "$PORT" -l "$WHO" "$@"; }; export -f dbclient"#,
    roads: &[Road::Plus],
    cells: &[
        (Case::Exec, Same(r#"dbclient "$HOST" "$REMOTE""#)),
        (Case::Signal, Same(r#"dbclient "$HOST" "$REMOTE""#)),
        (
            Case::Input,
            Same(r#"printf 'one\ntwo\n' | dbclient "$HOST" "$REMOTE""#),
        ),
        (
            Case::Bulk,
            Same(r#"dbclient "$HOST" "$REMOTE" < "$BIG" > back && whole "$BIG" back"#),
        ),
        (
            Case::Terminal,
            Same(r#"terminal dbclient -t "$HOST" "$REMOTE""#),
        ),
        (
            Case::OddName,
            Same(
                r#"printf '#!/bin/bash\nexec dbclient -i %q "$@"\n' "$TOOLS/dropbear" > "$HOME/dbclient" && chmod 755 "$HOME/dbclient"
                cp "$BIG" "$ODD" && scp -q -O -S "$HOME/dbclient" -P "$PORT" "./$ODD" "$WHO@$HOST:$(printf %q "$FAR/$ODD")" &&
                scp -q -O -S "$HOME/dbclient" -P "$PORT" "$WHO@$HOST:$(printf %q "$FAR/$ODD")" back && whole "$BIG" back"#,
            ),
        ),
        (Case::Keepalive, Same(r#"dbclient -K 1 "$HOST" "$REMOTE""#)),
        (
            Case::Local,
            Same(
                r#"dbclient -N -L "$PORT_A:localhost:$SERVICE" "$HOST" & listens "$PORT_A" && talk "$PORT_A""#,
            ),
        ),
        (
            Case::Reverse,
            Same(
                r#"dbclient -N -R "$PORT_A:localhost:$SERVICE" "$HOST" & listens "$PORT_A" && talk "$PORT_A""#,
            ),
        ),
        (
            Case::Netcat,
            Same(r#"echo hello | dbclient -B "localhost:$SERVICE" "$HOST""#),
        ),
        (
            Case::Agent,
            // Whether it says that it waits depends on which channel ends first.
            Same(
                r#"SSH_AUTH_SOCK=$AGENT dbclient -A "$HOST" "$REMOTE" 2> "$HOME/said"; status=$?
                grep -v '^dbclient: Waiting for other channels' "$HOME/said" >&2; exit $status"#,
            ),
        ),
    ],
};
