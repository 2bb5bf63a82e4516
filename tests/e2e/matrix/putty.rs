//! `PuTTY`'s programs without windows. Settings that have no option are in a saved session.
//!
//! Through tidegate they log in with the certificate and believe the bastion by its CA, directly with
//! the key and by the host key's fingerprint.

use super::cases::Case;
use super::cell::{Client, Way};
use super::field::Road;
use Way::Same;

/// The keys in `PuTTY`'s own format.
const PREPARE: &str = r#"puttygen "$KEY" -o "$TOOLS/key.ppk" -O private &&
    puttygen "$LOGIN/ssh-key" -o "$TOOLS/login.ppk" -O private"#;

/// Whom to believe and what to show, as options and as a saved session.
macro_rules! prelude {
    ($functions:literal) => {
        concat!(
            r#"mkdir -p "$HOME/.putty/sessions" "$HOME/.putty/sshhostcas"
            ca=$(awk '$1 == "@cert-authority" { print $4 }' "$KNOWN")
            printf '%s\n' "PublicKey=$ca" 'Validity=*' > "$HOME/.putty/sshhostcas/tidegate"
            if [[ $WHO == *+* ]]; then
                own="-i $TOOLS/login.ppk -cert $LOGIN/ssh-key-cert.pub"
            else
                own="-i $TOOLS/key.ppk -hostkey $HOSTKEY"
            fi
            printf '%s\n' Protocol=ssh "HostName=$HOST" "PortNumber=$PORT" "UserName=$WHO" \
                Environment=LC_MATRIX=passes PingIntervalSecs=1 RekeyBytes=512K > "$HOME/.putty/sessions/there"
            own="-batch -P $PORT -l $WHO $own"; export own
            "#,
            $functions
        )
    };
}

pub(super) const PLINK: Client = Client {
    name: "plink",
    prepare: PREPARE,
    prelude: prelude!(r#"plink() { command plink -ssh $own "$@"; }; export -f plink"#),
    roads: &[Road::Plus],
    cells: &[
        (Case::Exec, Same(r#"plink "$HOST" "$REMOTE""#)),
        (Case::Signal, Same(r#"plink "$HOST" "$REMOTE""#)),
        (
            Case::Input,
            Same(r#"printf 'one\ntwo\n' | plink "$HOST" "$REMOTE""#),
        ),
        (
            Case::Bulk,
            Same(r#"plink "$HOST" "$REMOTE" < "$BIG" > back && whole "$BIG" back"#),
        ),
        (
            Case::Terminal,
            Same(r#"terminal plink -t "$HOST" "$REMOTE""#),
        ),
        (
            Case::Environment,
            Same(r#"command plink $own -load there "$REMOTE""#),
        ),
        (
            Case::Sessions,
            Same(
                r#"export HOME
                plink -share -N "$HOST" & until plink -shareexists "$HOST"; do sleep 0.05; done
                for round in 1 2 3 4 5; do
                    for number in 1 2 3 4 5 6; do
                        plink -share "$HOST" "$REMOTE $round.$number" > "got.$round.$number" 2>/dev/null &
                        running="${running-} $!"
                    done
                    wait $running; running=
                done
                echo "$(cat got.* | wc -l) of 30""#,
            ),
        ),
        (
            Case::Keepalive,
            Same(r#"command plink $own -load there "$REMOTE""#),
        ),
        (
            Case::Rekey,
            Same(
                r#"command plink $own -load there "$REMOTE" < "$BIG" > back && whole "$BIG" back"#,
            ),
        ),
        (
            Case::Local,
            Same(
                r#"plink -N -L "$PORT_A:localhost:$SERVICE" "$HOST" & listens "$PORT_A" && talk "$PORT_A""#,
            ),
        ),
        (
            Case::Dynamic,
            Same(
                r#"plink -N -D "$PORT_A" "$HOST" & listens "$PORT_A" &&
                curl -sS --socks5-hostname "127.0.0.1:$PORT_A" "http://localhost:$WEB/""#,
            ),
        ),
        (
            Case::Reverse,
            Same(
                r#"plink -N -R "localhost:$PORT_A:localhost:$SERVICE" "$HOST" & listens "$PORT_A" && talk "$PORT_A""#,
            ),
        ),
        (
            Case::Netcat,
            Same(r#"echo hello | plink -nc "localhost:$SERVICE" "$HOST""#),
        ),
        (
            Case::Agent,
            Same(r#"SSH_AUTH_SOCK=$AGENT plink -A "$HOST" "$REMOTE""#),
        ),
        (
            Case::Display,
            Same(r#"DISPLAY=$SCREEN plink -X "$HOST" "$REMOTE""#),
        ),
    ],
};

pub(super) const PSCP: Client = Client {
    name: "pscp",
    prepare: PREPARE,
    prelude: prelude!(r#"pscp() { command pscp -q $own "$@"; }"#),
    roads: &[Road::Plus],
    cells: &[
        (
            Case::Bulk,
            Same(
                r#"for protocol in -sftp -scp; do
                    pscp $protocol "$BIG" "$HOST:$FAR/big" && pscp $protocol "$HOST:$FAR/big" back && whole "$BIG" back
                done"#,
            ),
        ),
        (
            Case::Files,
            Same(
                r#"for protocol in -sftp -scp; do
                    mkdir -p "from$protocol/folder" "back$protocol" && cd "from$protocol" && echo one > renamed && echo three > folder/three && chmod 640 renamed && cd ..
                    pscp $protocol -p -r "from$protocol" "$HOST:$FAR" && pscp $protocol -p -r "$HOST:$FAR/from$protocol" "back$protocol" &&
                    cat "back$protocol/from$protocol/renamed" "back$protocol/from$protocol/folder/three"
                done
                pscp -ls "$HOST:$FAR/from-sftp" | sed 's/[A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]* / /'
                pscp "$HOST:$FAR/nothing" nothing"#,
            ),
        ),
        (
            Case::Directory,
            Same(
                r#"cp -r "$MANY" "$FAR/many" && pscp -ls "$HOST:$FAR/many" | grep -c ' [0-9]*$' | awk '{ print ($1 >= 2000) ? 2000 : $1 }'"#,
            ),
        ),
        (
            Case::OddName,
            Same(
                r#"cp "$BIG" "$ODD" && pscp -sftp "$ODD" "$HOST:$FAR/$ODD" && pscp -sftp "$HOST:$FAR/$ODD" back && whole "$BIG" back"#,
            ),
        ),
    ],
};

pub(super) const PSFTP: Client = Client {
    name: "psftp",
    prepare: PREPARE,
    prelude: prelude!(
        r#"psftp() { cat > "$HOME/batch" && command psftp $own -b "$HOME/batch" "$HOST"; }"#
    ),
    roads: &[Road::Plus],
    cells: &[
        (
            Case::Bulk,
            Same(
                r#"printf 'put %s %s\nget %s back\n' "$BIG" "$FAR/big" "$FAR/big" | psftp && whole "$BIG" back"#,
            ),
        ),
        (
            Case::Files,
            Same(
                "echo one > one
                psftp <<END | sed 's/[A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]* / /'
cd $FAR
put one
mv one renamed
mkdir folder
put one folder/three
chmod 600 renamed
get renamed back
ls folder
ls
del folder/three
rmdir folder
END",
            ),
        ),
        (
            Case::Directory,
            Same(
                r#"cp -r "$MANY" "$FAR/many" && echo "ls $FAR/many" | psftp | grep -c ' [0-9]*$' | awk '{ print ($1 >= 2000) ? 2000 : $1 }'"#,
            ),
        ),
        (
            Case::OddName,
            Same(
                r#"name=${ODD//\"/\"\"} && cp "$BIG" "$ODD" &&
                printf 'put "%s" "%s"\nget "%s" back\n' "$name" "$FAR/$name" "$FAR/$name" | psftp && whole "$BIG" back"#,
            ),
        ),
    ],
};
