//! Tools that bring or drive a client of their own: curl, Ansible, Mitogen, and the way in which
//! Visual Studio Code works on another machine.

use super::cases::Case;
use super::cell::{Client, Way};
use super::field::Road;
use Way::Same;

pub(super) const CURL: Client = Client {
    name: "curl",
    prepare: "curl --version | grep -q sftp",
    prelude: r#"sum=$(awk -v name="[$HOST]:$PORT" '$1 == name { print $3 }' "$KNOWN" | base64 -d | openssl sha256 -binary | base64)
        curl() { command curl -sS --key "$KEY" --pubkey "$KEY.pub" --hostpubsha256 "$sum" -u "$WHO:" "$@"; }
        at=$HOST:$PORT"#,
    roads: &[Road::Plus],
    cells: &[
        (
            Case::Bulk,
            Same(
                r#"for scheme in sftp scp; do
                    curl -T "$BIG" "$scheme://$at$FAR/big" && curl -o back "$scheme://$at$FAR/big" && whole "$BIG" back
                done"#,
            ),
        ),
        (
            Case::Files,
            Same(
                r#"echo one > one && curl -T one "sftp://$at$FAR/one" \
                    -Q "-rename $FAR/one $FAR/renamed" -Q "-mkdir $FAR/folder" -Q "-symlink $FAR/renamed $FAR/link" \
                    -Q "-chmod 600 $FAR/renamed" &&
                curl -o back "sftp://$at$FAR/link" && curl "sftp://$at$FAR/" -l | sort &&
                curl -Q "-rmdir $FAR/folder" "sftp://$at$FAR/" -l | sort; curl "sftp://$at$FAR/nothing""#,
            ),
        ),
        (
            Case::Link,
            Same(
                r#"echo one > one && curl -T one "sftp://$at$FAR/renamed" -Q "-symlink $FAR/renamed $FAR/link" && readlink "$FAR/link""#,
            ),
        ),
        (
            Case::Directory,
            Same(
                r#"cp -r "$MANY" "$FAR/many" && curl -l "sftp://$at$FAR/many/" | grep -c '^[0-9]'"#,
            ),
        ),
        (
            Case::OddName,
            Same(
                r#"name=$(printf %s "$ODD" | od -An -v -tx1 | tr -d '\n' | tr ' ' %) &&
                curl -T "$BIG" "sftp://$at$FAR/$name" && curl -o back "sftp://$at$FAR/$name" && whole "$BIG" back && [ -e "$FAR/$ODD" ]"#,
            ),
        ),
    ],
};

pub(super) const ANSIBLE: Client = Client {
    name: "Ansible",
    prepare: r#""$CLIENTS/venv/bin/ansible" --version >/dev/null"#,
    prelude: r#"export ANSIBLE_HOST_KEY_CHECKING=True ANSIBLE_PIPELINING=True ANSIBLE_NOCOLOR=1 ANSIBLE_SSH_ARGS="-F $CONFIG -o ControlMaster=auto -o ControlPersist=20 -o ControlPath=$HOME/mux"
        export ANSIBLE_LOCAL_TEMP="$HOME/local" ANSIBLE_REMOTE_TEMP="$FAR/home" ANSIBLE_HOME="$HOME" ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3 ANSIBLE_DEPRECATION_WARNINGS=False
        export PATH="$CLIENTS/venv/bin:$PATH"
        ansible() { command ansible -i there, there "$@"; }
        leave() { local status=$?; ssh -F "$CONFIG" -o ControlPath="$HOME/mux" -O exit there 2>/dev/null; return $status; }"#,
    roads: &[Road::Plus, Road::Jump],
    cells: &[
        (
            Case::Exec,
            Same(
                "ansible -o -m ping && ansible -m shell -a 'echo here; echo aside >&2; exit 3' |
                sed 's/^there .*/there/'; leave",
            ),
        ),
        (
            Case::Files,
            Same(
                r#"echo one > one && ansible -o -m copy -a "src=$NEAR/one dest=$FAR/renamed mode=0600" | grep -o '"changed": [a-z]*' &&
                ansible -o -m copy -a "src=$NEAR/one dest=$FAR/renamed mode=0600" | grep -o '"changed": [a-z]*' &&
                ansible -o -m file -a "src=renamed dest=$FAR/link state=link" | grep -o '"changed": [a-z]*' &&
                ansible -o -m fetch -a "src=$FAR/renamed dest=$NEAR/back flat=yes" >/dev/null && cat back && ls "$FAR"; leave"#,
            ),
        ),
        (
            Case::Bulk,
            Same(
                r#"for transfer in sftp scp piped; do
                    export ANSIBLE_SSH_TRANSFER_METHOD=$transfer
                    ansible -o -m copy -a "src=$BIG dest=$FAR/$transfer" >/dev/null &&
                    ansible -o -m fetch -a "src=$FAR/$transfer dest=$NEAR/$transfer flat=yes" >/dev/null && whole "$BIG" "$transfer"
                done; leave"#,
            ),
        ),
        (
            Case::Sessions,
            Same(
                r#"cat > play.yml <<'END'
- hosts: all
  gather_facts: true
  tasks:
    - shell: echo {{ item }}
      loop: "{{ range(10) | list }}"
      register: said
    - shell: cat
      args: { stdin: "{{ said.results | map(attribute='stdout') | join(' ') }}" }
      register: heard
    - debug: { msg: "{{ (heard.stdout.split() | length) * 3 }} of 30" }
END
                ansible-playbook -i there, play.yml | grep -E -o '[0-9]+ of 30'; leave"#,
            ),
        ),
    ],
};

const MITOGEN_DOES: Way = Same(r#""$CLIENTS/venv/bin/python" "$SCRIPTS/mitogen_client.py""#);

pub(super) const MITOGEN: Client = Client {
    name: "Mitogen",
    prepare: r#""$CLIENTS/venv/bin/python" -c 'import mitogen'"#,
    prelude: "",
    roads: &[Road::Plus],
    cells: &[
        (Case::Exec, MITOGEN_DOES),
        (Case::Bulk, MITOGEN_DOES),
        (Case::Sessions, MITOGEN_DOES),
    ],
};

/// It sends a script to a shell's input, which starts a server that listens on the target's loopback
/// address and says where, and it reaches that server through the same connection, by `-D`.
pub(super) const VSCODE: Client = Client {
    name: "VS Code's way",
    prepare: "",
    prelude: r#"ssh() { command ssh -F "$CONFIG" "$@"; }
        # What is sent: a server on a port that it chooses, which ends with the shell.
        server() {
            echo "mkdir -p $FAR/home/web && cd $FAR/home/web && printf 'a page\n' > page && cp $BIG big"
            echo '/usr/bin/python3 -u -m http.server --bind 127.0.0.1 0 > log 2>&1 & trap "kill $!" EXIT'
            echo 'until grep -qs "port [0-9]" log; do sleep 0.05; done'
            echo 'echo "listeningOn=$(sed -n "s/.*port \([0-9]*\).*/\1/p" log)"; read -r end; exit'
        }
        # Starts it and says its port once it is told.
        start() {
            mkfifo "$HOME/typed"; exec 9<>"$HOME/typed"; server >&9
            ssh -T "$@" there bash <"$HOME/typed" >"$HOME/told" &
            until grep -q listeningOn "$HOME/told" 2>/dev/null; do sleep 0.05; done
            port=$(sed -n 's/listeningOn=//p' "$HOME/told")
        }"#,
    roads: &[Road::Plus, Road::Jump],
    cells: &[
        (
            Case::Dynamic,
            Same(
                r#"start -D "$PORT_A" && curl -sS --socks5-hostname "127.0.0.1:$PORT_A" "http://localhost:$port/page"; echo end >&9; wait $(jobs -p)"#,
            ),
        ),
        (
            Case::Bulk,
            Same(
                r#"start -D "$PORT_A" && for n in 1 2 3; do curl -sS -o "back$n" --socks5-hostname "127.0.0.1:$PORT_A" "http://localhost:$port/big" & got="${got-} $!"; done
                wait $got; whole "$BIG" back1 && whole "$BIG" back3; echo end >&9; wait $(jobs -p)"#,
            ),
        ),
        (
            Case::Input,
            Same(r"printf 'cat <<END\none\ntwo\nEND\nsleep 0.2; echo end\n' | ssh -T there bash"),
        ),
    ],
};
