//! Commands that carry files: whether a command line is one, which way it carries, and what for.
//!
//! A shell at the target reads the line, and nobody here knows which. So a line is *plain* only if
//! every shell reads it in the same way; where files are bound by policy only plain lines pass. A line
//! is *single* if no shell makes another command of it, whichever names it reads in it: that is enough to
//! follow what passes.
//! Decides nothing, and follows nothing.

mod single;

use super::path::{self, Vague};
use super::rsync;
use super::scp::Invocation as Scp;

/// Where programs are that nobody but the target's own people put there.
const FOLDERS: [&[u8]; 6] = [
    b"",
    b"/bin/",
    b"/usr/bin/",
    b"/usr/local/bin/",
    b"/opt/homebrew/bin/",
    b"/usr/libexec/",
];

/// A command that carries files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileCommand {
    /// Legacy scp.
    Scp(Scp),
    /// rsync.
    Rsync(rsync::Invocation),
}

/// What is the same to every shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clear {
    /// All words of the line.
    pub plain: bool,
    /// That it is one command, which one, and its options.
    pub single: bool,
}

/// A command line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its words, without quotes.
    pub words: Vec<Word>,
    /// Whether every shell reads it like that.
    pub plain: bool,
    /// Whether nothing is open at its end: no quotes, and no backslash.
    pub closed: bool,
}

/// One word of a command line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    /// What it says.
    pub text: Vec<u8>,
    /// Whether it begins with a tilde that stands for the account's home.
    pub home: bool,
}

impl FileCommand {
    /// What a command line is, if it carries files.
    pub fn of(command: &[u8]) -> Option<Self> {
        let line = Line::parse(command);
        let (program, rest) = line.words.split_first()?;
        let folder = program.text.iter().rposition(|byte| *byte == b'/');
        let (folder, name) = program
            .text
            .split_at(folder.map_or(0, |at| at.saturating_add(1)));
        let known = FOLDERS.contains(&folder);
        let clear = Clear {
            plain: known && line.plain,
            single: known && line.closed && single::is_single(command),
        };
        match name {
            b"scp" => Scp::parse(rest, clear).map(Self::Scp),
            b"rsync" => rsync::Invocation::parse(rest, clear).map(Self::Rsync),
            _ => None,
        }
    }

    /// Whether every shell makes this one command of the line and no other. Whatever else it made of it would be sent
    /// its bytes as what a file has.
    pub(super) fn is_single(&self) -> bool {
        match self {
            Self::Scp(scp) => scp.clear.plain || scp.clear.single,
            Self::Rsync(rsync) => (rsync.clear.plain || rsync.clear.single) && !rsync.is_daemon(),
        }
    }
}

impl Word {
    /// Where it leads, as a path of the target.
    pub fn place(&self) -> Result<String, Vague> {
        let name = match self.text.strip_prefix(b"~") {
            Some(rest) if self.home => {
                let slashes = rest.iter().take_while(|byte| **byte == b'/').count();
                rest.get(slashes..).unwrap_or_default()
            }
            _ => &self.text,
        };
        path::settle(name, None)
    }
}

impl Line {
    /// Takes a line apart. What some shell would do more with than this is kept as it stands, and
    /// the line is not plain.
    pub fn parse(line: &[u8]) -> Self {
        let mut parsed = Self {
            words: Vec::new(),
            plain: true,
            closed: true,
        };
        let mut word: Option<Word> = None;
        let mut bytes = line.iter().copied();
        // PowerShell ends a word that begins with quotes where those end.
        let mut is_over = false;
        while let Some(byte) = bytes.next() {
            if byte == b' ' {
                is_over = false;
                parsed.words.extend(word.take());
                continue;
            }
            parsed.plain &= !is_over;
            let begins = word.is_none();
            let word = word.get_or_insert_default();
            match byte {
                b'\'' | b'"' => {
                    // A tilde with quotes before the first slash is no home to a shell, but a name.
                    parsed.plain &= !word.home || word.text.contains(&b'/');
                    let (plain, closed) = quoted(&mut bytes, &mut word.text, byte);
                    parsed.plain &= plain && closed;
                    parsed.closed &= closed;
                    is_over |= begins;
                }
                // No quote for cmd.exe, which takes what follows as it stands.
                b'\\' => {
                    let next = bytes.next();
                    (parsed.plain, parsed.closed) = (false, parsed.closed && next.is_some());
                    word.text.extend(next);
                }
                b'~' if begins => {
                    word.home = true;
                    word.text.push(byte);
                }
                _ => {
                    parsed.plain &= is_plain(byte, begins);
                    word.text.push(byte);
                }
            }
        }
        parsed.words.extend(word);
        // A tilde with a name behind it is somebody's home.
        parsed.plain &= parsed
            .words
            .iter()
            .all(|word| !word.home || word.text == b"~" || word.text.starts_with(b"~/"));
        parsed
    }
}

/// Takes what is between quotes. Whether every shell reads that as it stands: `cmd.exe` knows no single
/// quotes, so what would be two words without them, or a command behind another one, is that to it. And whether
/// they end.
fn quoted(bytes: &mut impl Iterator<Item = u8>, text: &mut Vec<u8>, quote: u8) -> (bool, bool) {
    let mut plain = true;
    for byte in bytes {
        if byte == quote {
            return (plain, true);
        }
        plain &= is_plain(byte, false) || (byte == b' ' && quote == b'"');
        text.push(byte);
    }
    (plain, false)
}

/// Whether no shell does anything with this byte where it stands by itself: not those of Unix, nor
/// `cmd.exe` (`%` is a variable, also between quotes), nor PowerShell (`,` makes a list of two words).
fn is_plain(byte: u8, begins: bool) -> bool {
    match byte {
        b'=' | b':' | b'@' => !begins,
        b'/' | b'.' | b'_' | b'-' | b'+' => true,
        // Not what is beyond ASCII: some of it is a blank, or half a character, in some locale.
        other => other.is_ascii_alphanumeric(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, want: &[&str], plain: bool) {
        let parsed = Line::parse(line.as_bytes());
        let words = parsed.words.iter();
        let words = words.map(|word| String::from_utf8_lossy(&word.text).into_owned());
        assert_eq!(words.collect::<Vec<_>>(), want);
        assert_eq!(parsed.plain, plain, "{line}");
    }

    #[test]
    fn words_are_what_every_shell_takes_them_for() {
        check("scp -t /srv/in", &["scp", "-t", "/srv/in"], true);
        check("scp  -t 'a-b'", &["scp", "-t", "a-b"], true);
        check(r#"scp -t "/a b/c""#, &["scp", "-t", "/a b/c"], true);
        check(r#"scp -t ~/"a b""#, &["scp", "-t", "~/a b"], true);
        check("scp -t ~/in", &["scp", "-t", "~/in"], true);
        check("scp -t ''", &["scp", "-t", ""], true);
        // As libssh2 and WinSCP write them.
        check(
            "scp -pt '/srv/in/a.txt'",
            &["scp", "-pt", "/srv/in/a.txt"],
            true,
        );
        let winscp = r#"scp -r -p -d -t "/srv/in""#;
        check(winscp, &["scp", "-r", "-p", "-d", "-t", "/srv/in"], true);
    }

    #[test]
    fn what_a_shell_would_do_more_with_is_not_plain() {
        for line in [
            "scp -t /srv/in; id",
            "scp -t `id`",
            "scp -t $(id)",
            "scp -t \"$HOME\"",
            "scp -f /srv/*",
            "scp -f /srv/[ab]",
            "scp -f /srv/{a,b}",
            "scp -t a>b",
            "scp -t a\nid",
            "scp -t a & id",
            "scp -t ~root/in",
            "scp -t '~'root/in\\",
            // With a quote before its first slash, no shell takes it for the home: it is a name.
            "scp -t ~\"/a b\"",
            "scp -t ~''/in",
            "scp -t ~'/in'/a",
            "scp -t 'open",
            "scp -t a#",
            "scp -t =ls",
            "scp -t a!b",
            "scp -t a\\nb",
            "scp\t-t a",
            // cmd.exe knows no single quotes, and no backslash before anything.
            "scp -t '/srv/in/a&calc'",
            "scp -t '/srv/in/a|calc'",
            "scp -t '/srv/in/a>b'",
            "scp -t '/srv/in/a^b'",
            "scp -t /srv/in/a\\&calc",
            "scp -f '/srv/in/a /etc/x '",
            "scp -f /srv/in/a\\ /etc/x",
            "rsync --server -re.Ls '--log-format=a --log-file=C:/x ' . /srv/in/",
            // It puts variables in between quotes, too.
            "scp -t %TEMP%",
            "scp -t '%TEMP%'",
            "scp -t \"/srv/in/%x%\"",
            // PowerShell makes two words of one, or looks a word up.
            "scp -f /srv/in/a,/etc/x",
            "scp -f '/srv/in/'/etc/x",
            "scp -f \"/srv/in/\"/etc/x",
            "scp -f \"/srv/in/a\"'/etc/x'",
            "scp -f @HOME",
            "scp -t \"(id)\"",
            // Nor do all of them agree on what is beyond ASCII, quoted or not.
            "scp -t '/srv/in/\u{e4}'",
            "scp -t \"/srv/in/it's\"",
            // Half a character of GBK takes the other half along.
            "scp -t /srv/in/\u{e5}\\;id",
            "scp -t /srv/in/\u{a0}/etc",
        ] {
            assert!(!Line::parse(line.as_bytes()).plain, "{line}");
        }
    }

    /// Whether what a line moves is followed where nothing else asks for a plain one.
    fn is_followed(line: &str) -> bool {
        FileCommand::of(line.as_bytes()).is_some_and(|command| command.is_single())
    }

    #[test]
    fn a_line_is_followed_if_no_shell_runs_another_command_by_it() {
        for line in [
            "scp -t /srv/in",
            "scp -r -p -d -t \"/srv/a b\"",
            "scp -pt '/srv/in/a.txt'",
            "scp -v -f ~/in",
            "/usr/bin/scp -t .",
            "rsync --server -vlogDtpre.iLsfxCIvu . /srv/in/",
            "rsync --server --sender -vlogDtpre.iLsfxCIvu . /var/log/a b",
            // Blanks, globs and homes: which files they are the stream says, or nobody has to know.
            "scp -f /srv/my\\ file",
            "scp -f '/srv/my file'",
            "scp -r -f -- /srv/*.log",
            "scp -f ./*.log '/srv/a b'/x?.csv /srv/[ab]c",
            "scp -t ~root/in",
            "scp -f ~/'my files'/*",
            "rsync --server --sender -logDtpre.iLsfxCIvu . /srv/my\\ file",
            "rsync --server -logDtpre.iLsfxCIvu . '/srv/my dir/'",
            "rsync --server --sender -logDtpre.iLsfxCIvu . /var/log/*.log",
            // `%` alone is no variable of `cmd.exe`: `rsync -i` says so.
            "rsync --server -vlogDtpre.iLsfxCIvu --log-format=%i . /srv/in/",
        ] {
            assert!(is_followed(line), "{line}");
        }
        for line in [
            "scp -t . </dev/null; exec sh",
            "scp -t .\nsh",
            "scp -t . | sh",
            "scp -t . && sh",
            "scp -t . & sh",
            "scp -t >/tmp/x",
            "scp -t $(sh)",
            "scp -t `sh`",
            "scp -t \"$(sh)\"",
            "scp -t \"`sh`\"",
            "scp -t <(sh)",
            "scp -t 'a' ; sh",
            "scp -t a\\\\;sh",
            "scp -t 'open",
            // A comment ends a line's quotes for a shell alone.
            "scp -d -t /x # '\nread l; printf \"\\\\0\"; exec sh >&2 #'",
            // So does a quote that is none behind `$'`.
            r"scp -d -t $'/x\' ' ; read l; exec sh >&2 #'",
            // Half a character takes the backslash along.
            "scp -t /x\u{e5}\\;sh",
            // No quotes, and no backslash, to cmd.exe.
            "scp -t 'a & cmd '",
            "scp -t a\\&cmd",
            // Not the target's scp, but whatever was put there.
            "/tmp/scp -t /x",
            "./rsync --server -r . /x",
            // It runs what a file of its own says.
            "rsync --server --daemon --config=/tmp/c . /x",
            // What a shell puts in the place of names is not known here.
            "scp -f \"$HOME/a b\"",
            "scp -t a\\;b",
        ] {
            assert!(!is_followed(line), "{line}");
        }
    }

    /// A blank or a glob makes more names of one, and none of them may be an option: an scp without `-t` and `-f`, or
    /// an rsync without `--server`, runs what it is told.
    #[test]
    fn no_shell_makes_options_of_the_names_of_a_line_that_is_followed() {
        for line in [
            "scp -f *",
            "scp -f -- ?S",
            "scp -f a -S/tmp/x",
            "scp -f 'a -S/tmp/x'",
            "scp -f a\\ -S/tmp/x",
            "scp -f \\-S",
            "scp -f '*'",
            "scp -f a\\*",
            "scp '-t' -S/tmp/x a b:c",
            "scp '-t' 'a b'",
            "scp \\-t a\\ b",
            "scp -S /tmp/x -t '/srv/a b'",
            "rsync '--server' -e/tmp/x 'a b' c:d",
            "rsync --server -re.Ls . *",
            "rsync --server -re.Ls . [a]x",
            "rsync --server -re.Ls . 'a --daemon b'",
            "rsync --server -re.Ls . a\\ --daemon",
            "rsync --server '--daemon' . '/x y'",
            "rsync --server \\--daemon . /x",
            "rsync --server --d* . /x",
            "rsync --server -re.Ls . \"/srv/in\"--daemon '/x y'",
            // The libraries of Cygwin put a file's words in the place of its name.
            "rsync --server -re.Ls . 'a @file'",
            // fish knows bytes by their numbers.
            "rsync --server -re.Ls . \\x2d-daemon",
            "scp -f '/srv/a b'/\\x26sh",
            // zsh asks a function where this is, and `cmd.exe` a variable.
            "scp -t ~[x]/a\\ b",
            "scp -t '/srv/%LC_A% b'",
            "rsync --server -re.Ls --log-format=%i . '/srv/%x'",
            "scp -f /srv/*;sh",
            "scp -f /srv/*(e:sh:)",
            "scp -f /srv/{a,b}\\ c",
            "scp -f '/srv/a b'\\''; sh'",
            "scp -f /srv/a\\ b\\",
            "scp -f '/srv/a b",
            "scp -f =ls '/srv/a b'",
            "scp -f /srv/a\\ b\tc",
            "scp -f '/srv/\u{e4} b'",
            "/tmp/scp -f '/srv/a b'",
            "\"scp\" -f '/srv/a b'",
            "s\\cp -f '/srv/a b'",
        ] {
            assert!(!is_followed(line), "{line}");
        }
    }

    /// Where files are asked about one by one, what is followed is not enough: it has to be known which file it is.
    #[test]
    fn what_is_followed_is_not_plain_by_that() {
        for line in [
            "scp -f '/srv/my file'",
            "scp -f /srv/*.log",
            "scp -t ~root/in",
        ] {
            let Some(FileCommand::Scp(scp)) = FileCommand::of(line.as_bytes()) else {
                panic!("{line}");
            };
            assert!(!scp.clear.plain && scp.wants().is_err(), "{line}");
        }
        let line = b"rsync --server -re.Ls . '/srv/my dir/'";
        let Some(FileCommand::Rsync(rsync)) = FileCommand::of(line) else {
            panic!("an rsync");
        };
        assert!(!rsync.clear.plain && rsync.wants().trees.iter().all(Result::is_err));
    }

    #[test]
    fn only_the_programs_of_the_target_count_as_plain() {
        let plain = |line: &str| match FileCommand::of(line.as_bytes()) {
            Some(FileCommand::Scp(scp)) => Some(scp.clear.plain),
            Some(FileCommand::Rsync(rsync)) => Some(rsync.clear.plain),
            None => None,
        };
        assert_eq!(plain("scp -t /srv/in"), Some(true));
        assert_eq!(plain("/usr/bin/scp -t /srv/in"), Some(true));
        assert_eq!(plain("scp -f -t /srv/in"), Some(false));
        assert_eq!(plain("scp -tf /srv/in"), Some(false));
        assert_eq!(plain("/srv/in/scp -t /srv/in"), Some(false));
        assert_eq!(plain("./scp -t /srv/in"), Some(false));
        assert_eq!(plain("rsync --server -r . /srv/in"), Some(true));
        assert_eq!(plain("sudo scp -t /srv/in"), None);
        assert_eq!(plain("scp a b"), None);
        assert_eq!(plain("id"), None);
        assert_eq!(plain(""), None);
    }
}
