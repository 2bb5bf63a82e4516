//! What may be asked of a session channel, and in which order: a pure map from requests to answers.
//!
//! Both ends of a channel's queue use it: the front, which has to answer inside russh's callback,
//! and the pump, which acts. Both see the same requests in the same order, so they agree without
//! talking to each other. Whether a *command* is allowed is not decided here; that is policy
//! ([`Broker::may`](control::Broker::may)), asked by the pump when the command comes.

/// The most session channels that may be open in one connection at the same time. OpenSSH's default
/// (`MaxSessions` in `sshd_config(5)`); each may have a window's worth of bytes waiting.
pub const CHANNELS_MAX: usize = 10;
/// The most connections to targets that may be open inside one to the bastion. Their bytes are taken
/// at once, so more of them may be open than sessions.
pub const JUMPS_MAX: usize = 64;
/// The most forwarded connections that one session may carry at the same time, both ends counted. A
/// browser behind `ssh -D` opens a few dozen.
pub const FORWARDS_MAX: usize = 32;
/// The most listeners that one session may have at its target at the same time.
pub const LISTENERS_MAX: usize = 16;
/// The most channels of one session that are looked after, with those that the client has closed and
/// the target has not opened or ended yet.
pub const LINES_MAX: usize = 2 * CHANNELS_MAX + FORWARDS_MAX;

/// The most environment variables of one channel.
const ENV_MAX: usize = 128;
/// The longest name of an environment variable, in bytes.
const ENV_NAME_MAX: usize = 128;
/// The longest value of an environment variable, in bytes.
const ENV_VALUE_MAX: usize = 4096;
/// The longest name of a terminal type, in bytes.
const TERM_MAX: usize = 128;
/// The longest command, in bytes. Linux takes 128 KiB for one argument (`MAX_ARG_STRLEN`).
const COMMAND_MAX: usize = 128 * 1024;
/// The longest name of an X11 protocol, and the longest cookie, in bytes.
const X11_MAX: usize = 256;
/// The longest name of a subsystem, in bytes.
const SUBSYSTEM_MAX: usize = 64;

/// How much may be asked of one channel from its opening to its close, in bytes: four of the largest
/// packets. Changes of the window's size are not counted.
const ASKED_MAX: usize = 256 * 1024;
/// What a request takes besides its text, in bytes, rounded up.
const REQUEST_SIZE: usize = 128;

/// What a signal counts for besides its name, in bytes: its place in the queue is there already.
const SIGNAL_SIZE: usize = 16;

/// A request on a session channel (RFC 4254, section 6).
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    /// A terminal of this type.
    Pty {
        /// For example `xterm-256color`.
        term: &'a str,
    },
    /// An environment variable.
    Env {
        /// Its name.
        name: &'a str,
        /// Its value.
        value: &'a str,
    },
    /// A shell.
    Shell,
    /// A command.
    Exec {
        /// As sent.
        command: &'a [u8],
    },
    /// A subsystem.
    Subsystem {
        /// For example `sftp`.
        name: &'a str,
    },
    /// The window has another size.
    WindowChange,
    /// A signal for the program.
    Signal,
    /// The client's agent is offered.
    Agent,
    /// The client's display is offered.
    X11 {
        /// How who connects proves themselves, for example `MIT-MAGIC-COOKIE-1`.
        protocol: &'a str,
        /// By what, in hexadecimal.
        cookie: &'a str,
    },
}

impl Request<'_> {
    /// Whether a program is asked for. Such a request is answered with words on the channel and an exit
    /// status where it is refused: a client would show neither after a refusal by the protocol.
    pub fn starts_program(&self) -> bool {
        matches!(
            self,
            Self::Shell | Self::Exec { .. } | Self::Subsystem { .. }
        )
    }
}

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Say yes and pass it on.
    Pass,
    /// Say yes, ask policy, and start the program or say why not.
    Start,
    /// Say no.
    Refuse(Refusal),
}

/// Why a request is refused, whatever the permit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not on the list of variables that are passed.
    Env,
    /// Not well-formed, too long or too many.
    Malformed,
    /// There is a program on this channel already.
    SecondProgram,
    /// Only before the program starts.
    TooLate,
    /// Only after the program starts.
    TooEarly,
}

/// How far one session channel has come.
#[derive(Debug, Default)]
pub struct Stage {
    pty: bool,
    display: bool,
    variables: usize,
    program: bool,
}

impl Stage {
    /// Answers one request, and remembers it.
    pub fn answer(&mut self, request: Request<'_>) -> Answer {
        match request {
            Request::Pty { term } => self.pty(term),
            Request::Env { name, value } => self.env(name, value),
            Request::Shell => self.program(true),
            Request::Exec { command } => {
                self.program(command.len() <= COMMAND_MAX && !command.contains(&0))
            }
            Request::Subsystem { name } => {
                let plain = |c: char| c.is_ascii_graphic();
                let good =
                    !name.is_empty() && name.len() <= SUBSYSTEM_MAX && name.chars().all(plain);
                self.program(good)
            }
            Request::WindowChange => {
                if self.pty {
                    Answer::Pass
                } else {
                    Answer::Refuse(Refusal::TooEarly)
                }
            }
            Request::Signal => {
                if self.program {
                    Answer::Pass
                } else {
                    Answer::Refuse(Refusal::TooEarly)
                }
            }
            Request::Agent if self.program => Answer::Refuse(Refusal::TooLate),
            Request::Agent => Answer::Pass,
            Request::X11 { protocol, cookie } => self.display(protocol, cookie),
        }
    }

    /// Whether there is a terminal.
    pub fn has_pty(&self) -> bool {
        self.pty
    }

    /// Whether a program was asked for.
    pub fn has_program(&self) -> bool {
        self.program
    }

    fn pty(&mut self, term: &str) -> Answer {
        if self.program || self.pty {
            return Answer::Refuse(Refusal::TooLate);
        }
        if term.len() > TERM_MAX || !term.chars().all(|c| c.is_ascii_graphic()) {
            return Answer::Refuse(Refusal::Malformed);
        }
        self.pty = true;
        Answer::Pass
    }

    fn display(&mut self, protocol: &str, cookie: &str) -> Answer {
        if self.program || self.display {
            return Answer::Refuse(Refusal::TooLate);
        }
        let named = protocol.len() <= X11_MAX && protocol.chars().all(|c| c.is_ascii_graphic());
        let hexadecimal = cookie.len() <= X11_MAX && cookie.chars().all(|c| c.is_ascii_hexdigit());
        if !named || !hexadecimal {
            return Answer::Refuse(Refusal::Malformed);
        }
        self.display = true;
        Answer::Pass
    }

    fn env(&mut self, name: &str, value: &str) -> Answer {
        if self.program {
            return Answer::Refuse(Refusal::TooLate);
        }
        if self.variables >= ENV_MAX || name.len() > ENV_NAME_MAX || value.len() > ENV_VALUE_MAX {
            return Answer::Refuse(Refusal::Malformed);
        }
        if !may_be_set(name) {
            return Answer::Refuse(Refusal::Env);
        }
        if value.contains(['\0', '\n']) || (is_locale(name) && !names_locale(value)) {
            return Answer::Refuse(Refusal::Malformed);
        }
        self.variables = self.variables.saturating_add(1);
        Answer::Pass
    }

    fn program(&mut self, well_formed: bool) -> Answer {
        if self.program {
            return Answer::Refuse(Refusal::SecondProgram);
        }
        self.program = true;
        if well_formed {
            Answer::Start
        } else {
            Answer::Refuse(Refusal::Malformed)
        }
    }
}

/// How much a client has asked of one channel.
#[derive(Debug, Default)]
pub struct Asked {
    bytes: usize,
}

impl Asked {
    /// Counts a signal with a name of this length: programs send them for days. False when it was one too many.
    pub fn count_signal(&mut self, name: usize) -> bool {
        self.bytes = self.bytes.saturating_add(name).saturating_add(SIGNAL_SIZE);
        self.bytes <= ASKED_MAX
    }

    /// Counts one request with this many bytes of text. False when it was one too many.
    pub fn count(&mut self, text: usize) -> bool {
        self.bytes = self.bytes.saturating_add(text).saturating_add(REQUEST_SIZE);
        self.bytes <= ASKED_MAX
    }
}

/// Whether a variable may reach the target: how text is written and coloured, and git's protocol
/// version. Never one that changes which code runs (`LD_*`, `PATH`, `BASH_*`, other `GIT_*`).
fn may_be_set(name: &str) -> bool {
    is_locale(name) || matches!(name, "COLORTERM" | "NO_COLOR" | "GIT_PROTOCOL")
}

/// Whether a variable says which locale there is.
fn is_locale(name: &str) -> bool {
    let category = name.strip_prefix("LC_").is_some_and(|rest| {
        !rest.is_empty() && rest.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    });
    category || matches!(name, "LANG" | "LANGUAGE")
}

/// Whether this can be the name of a locale, or several with colons between, and cannot be a path: gettext puts it
/// into the names of files that it reads (`dcigettext.c`), and formats texts by what is in them.
fn names_locale(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-@:".contains(c);
    value.chars().all(plain) && !value.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_asked_so_much_and_no_more() {
        let mut large = Asked::default();
        assert!(large.count(ASKED_MAX - REQUEST_SIZE));
        assert!(!large.count(0));
        let mut many = Asked::default();
        assert!((0..ASKED_MAX / REQUEST_SIZE).all(|_each| many.count(0)));
        assert!(!many.count(0));
    }

    const PTY: Request<'_> = Request::Pty { term: "xterm" };
    const LANG: Request<'_> = Request::Env {
        name: "LANG",
        value: "C.UTF-8",
    };
    const X11: Request<'_> = Request::X11 {
        protocol: "MIT-MAGIC-COOKIE-1",
        cookie: "00ff",
    };
    const EXEC: Request<'_> = Request::Exec { command: b"id" };

    #[track_caller]
    fn check(before: &[Request<'_>], request: Request<'_>, want: Answer) {
        let mut stage = Stage::default();
        for earlier in before {
            stage.answer(*earlier);
        }
        assert_eq!(stage.answer(request), want);
    }

    #[track_caller]
    fn check_env(name: &str, value: &str, want: Answer) {
        check(&[], Request::Env { name, value }, want);
    }

    #[test]
    fn one_program_runs_on_a_channel() {
        check(&[], EXEC, Answer::Start);
        check(&[], Request::Shell, Answer::Start);
        check(&[], Request::Subsystem { name: "sftp" }, Answer::Start);
        check(
            &[Request::Shell],
            EXEC,
            Answer::Refuse(Refusal::SecondProgram),
        );
        check(
            &[Request::Exec { command: b"a\0b" }],
            EXEC,
            Answer::Refuse(Refusal::SecondProgram),
        );
    }

    #[test]
    fn terminal_and_environment_come_before_the_program() {
        check(&[PTY], LANG, Answer::Pass);
        check(&[EXEC], PTY, Answer::Refuse(Refusal::TooLate));
        check(&[PTY], PTY, Answer::Refuse(Refusal::TooLate));
        check(
            &[Request::Subsystem { name: "sftp" }],
            LANG,
            Answer::Refuse(Refusal::TooLate),
        );
    }

    #[test]
    fn a_window_change_needs_a_terminal_and_a_signal_a_program() {
        check(
            &[],
            Request::WindowChange,
            Answer::Refuse(Refusal::TooEarly),
        );
        check(&[PTY], Request::WindowChange, Answer::Pass);
        check(&[PTY], Request::Signal, Answer::Refuse(Refusal::TooEarly));
        check(&[EXEC], Request::Signal, Answer::Pass);
    }

    #[test]
    fn only_listed_variables_pass() {
        check_env("LANG", "de_DE.UTF-8", Answer::Pass);
        check_env("LC_ALL", "C", Answer::Pass);
        check_env("GIT_PROTOCOL", "version=2", Answer::Pass);
        for name in [
            "LD_PRELOAD",
            "PATH",
            "BASH_ENV",
            "GIT_SSH_COMMAND",
            "LC_",
            "LC_X=Y",
            "lang",
            "",
            "TERM",
        ] {
            check_env(name, "x", Answer::Refuse(Refusal::Env));
        }
        check_env("LANG", "a\nb", Answer::Refuse(Refusal::Malformed));
        check_env(
            "LANG",
            &"x".repeat(5000),
            Answer::Refuse(Refusal::Malformed),
        );
    }

    /// gettext reads the file `<directory>/<LANGUAGE>/LC_MESSAGES/<program>.mo`, and others are as trusting.
    #[test]
    fn a_locale_names_no_file() {
        for name in ["LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES"] {
            for good in [
                "",
                "C",
                "POSIX",
                "C.UTF-8",
                "de_DE@euro",
                "de_AT:de:en",
                "sr_RS.utf8@latin",
            ] {
                check_env(name, good, Answer::Pass);
            }
            for odd in [
                "../../tmp/x",
                "/tmp/x",
                "..",
                "de:..",
                "a..b",
                "de DE",
                "de;id",
                "$(id)",
                "%PATH%",
                "d\u{e9}",
                "de\tDE",
            ] {
                check_env(name, odd, Answer::Refuse(Refusal::Malformed));
            }
        }
    }

    #[test]
    fn variables_are_counted() {
        check(&[LANG; ENV_MAX], LANG, Answer::Refuse(Refusal::Malformed));
    }

    #[test]
    fn commands_and_names_that_no_target_should_see_are_refused() {
        check(
            &[],
            Request::Exec { command: b"a\0b" },
            Answer::Refuse(Refusal::Malformed),
        );
        check(
            &[],
            Request::Subsystem { name: "sf tp" },
            Answer::Refuse(Refusal::Malformed),
        );
        check(
            &[],
            Request::Subsystem { name: "" },
            Answer::Refuse(Refusal::Malformed),
        );
        check(
            &[],
            Request::Pty {
                term: "xterm\u{1b}[2J",
            },
            Answer::Refuse(Refusal::Malformed),
        );
    }

    #[test]
    fn an_agent_and_a_display_come_before_the_program() {
        check(&[], Request::Agent, Answer::Pass);
        check(&[EXEC], Request::Agent, Answer::Refuse(Refusal::TooLate));
        check(&[], X11, Answer::Pass);
        check(&[EXEC], X11, Answer::Refuse(Refusal::TooLate));
        check(&[X11], X11, Answer::Refuse(Refusal::TooLate));
        let (protocol, cookie) = ("MIT-MAGIC-COOKIE-1", "not hexadecimal; id");
        let odd = Request::X11 { protocol, cookie };
        check(&[], odd, Answer::Refuse(Refusal::Malformed));
    }
}
