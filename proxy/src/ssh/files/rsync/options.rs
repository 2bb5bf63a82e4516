//! What of a command line shapes the stream (`options.c` of rsync: `server_options`).
//!
//! Knows which options change nothing of it; with one that it has never heard of, nobody knows what comes.

use super::Invocation;

/// Letters that change what comes, or at which end.
const SHAPING: &[u8] = b"lHogDUNAXcmRzn";

/// Letters that do not: what a receiver does with what comes is its own.
const SILENT: &[u8] = b"vqrutpIOJSWxhiEbLkKCdy";

/// Options behind which their value stands as a word of its own.
const BEHIND: [&str; 6] = [
    "--backup-dir",
    "--temp-dir",
    "--partial-dir",
    "--compare-dest",
    "--copy-dest",
    "--link-dest",
];

/// What stands for the next word in a value (`popt.c`: `expandNextArg`).
const NEXT: &str = "!#:+";

/// Options that are words, whole or up to their value, and change nothing or are looked for below.
const KNOWN: [&str; 62] = [
    "server",
    "sender",
    "append",
    "backup-dir=",
    "bwlimit=",
    "checksum-choice=",
    "checksum-seed=",
    "compress-choice=",
    "compress-level=",
    "compress-threads=",
    "copy-devices",
    "copy-unsafe-links",
    "debug=",
    "delay-updates",
    "delete",
    "delete-after",
    "delete-before",
    "delete-delay",
    "delete-during",
    "delete-excluded",
    "existing",
    "force",
    "fsync",
    "groupmap=",
    "ignore-errors",
    "ignore-existing",
    "ignore-missing-args",
    "info=",
    "inplace",
    "list-only",
    "log-format=",
    "max-alloc=",
    "max-delete=",
    "max-size=",
    "min-size=",
    "mkpath",
    "modify-window=",
    "msgs2stderr",
    "new-compress",
    "no-implied-dirs",
    "no-msgs2stderr",
    "no-r",
    "no-specials",
    "no-W",
    "numeric-ids",
    "old-compress",
    "open-noatime",
    "partial",
    "partial-dir=",
    "preallocate",
    "protocol=",
    "remove-sent-files",
    "remove-source-files",
    "safe-links",
    "size-only",
    "skip-compress=",
    "specials",
    "stats",
    "suffix=",
    "super",
    "timeout=",
    "usermap=",
];

/// The options that shape a stream.
#[derive(Debug)]
pub(super) struct Options {
    /// Whether the target sends.
    pub(super) sends: bool,
    letters: Vec<u8>,
    /// What the client says that it knows of the protocol.
    pub(super) ability: Vec<u8>,
    words: Vec<String>,
}

impl Options {
    /// Those of a command line, or the one by which nobody knows what comes.
    pub(super) fn of(invocation: &Invocation) -> Result<Self, String> {
        let mut options = Self {
            sends: invocation.sends,
            letters: Vec::new(),
            ability: Vec::new(),
            words: Vec::new(),
        };
        let mut words = invocation.options.iter();
        while let Some(word) = words.next() {
            let odd = || String::from_utf8_lossy(word).into_owned();
            let text = std::str::from_utf8(word).map_err(|_odd| odd())?;
            let value = BEHIND.contains(&text).then(|| words.next()).flatten();
            if text.contains(NEXT) || value.is_some_and(|value| has_next(value.as_slice())) {
                return Err(odd());
            }
            if BEHIND.contains(&text) {
                // Its value was looked at.
            } else if let Some(name) = text.strip_prefix("--") {
                let known = KNOWN.iter().any(|known| match known.strip_suffix('=') {
                    Some(_) => name.starts_with(known),
                    None => name == *known,
                });
                options.words.push(name.to_owned());
                let clear = known && options.is_clear();
                clear.then_some(()).ok_or_else(odd)?;
            } else {
                let letters = text.strip_prefix('-').ok_or_else(odd)?;
                options.take(letters.as_bytes()).ok_or_else(odd)?;
            }
        }
        // A trial carries nothing. What a `V` says was never in a release (`compat.c`).
        if options.has(b'n') || options.ability.contains(&b'V') {
            let odd = if options.has(b'n') { "-n" } else { "-eV" };
            return Err(odd.to_owned());
        }
        Ok(options)
    }

    /// Letters in one word. None with one that is not known.
    fn take(&mut self, letters: &[u8]) -> Option<()> {
        let end = letters.iter().position(|letter| *letter == b'e');
        let (letters, ability) = letters.split_at(end.unwrap_or(letters.len()));
        // With nothing behind it, `e` takes the next word.
        if ability.len() == 1 {
            return None;
        }
        // The size of blocks, or how far times may be apart.
        if let [b'B' | b'@', value @ ..] = letters {
            let is_number = value.iter().all(|byte| b"-0123456789".contains(byte));
            return (is_number && !value.is_empty() && ability.is_empty()).then_some(());
        }
        self.ability.extend(ability.iter().skip(1));
        self.letters.extend(letters);
        let known = |letter: &u8| SHAPING.contains(letter) || SILENT.contains(letter);
        // The last of both counts.
        let is_late = letters.contains(&b'D') && self.says("no-specials");
        (letters.iter().all(known) && !is_late).then_some(())
    }

    /// Whether every rsync understands the words in the same way, and we do. Takes those that stand for a letter.
    fn is_clear(&mut self) -> bool {
        for (word, letter) in [("usermap", b'o'), ("groupmap", b'g')] {
            if self.value(word).is_some() && !self.has(letter) {
                self.letters.push(letter);
            }
        }
        let count = |is: fn(&str) -> bool| self.words.iter().filter(|word| is(word)).count();
        let compressions = count(|word| {
            word.starts_with("compress-choice=") || matches!(word, "new-compress" | "old-compress")
        });
        let specials = count(|word| matches!(word, "specials" | "no-specials"));
        let levels = self.words.iter();
        let mut levels = levels.filter_map(|word| word.strip_prefix("compress-level="));
        let is_none = |choice: &str| choice.eq_ignore_ascii_case("none");
        // Which of them is meant, both ends ask each other.
        let is_asked = |choice: &str| choice.to_ascii_lowercase().starts_with("auto");
        let choice = self.value("compress-choice");
        let is_leveled = self.value("compress-level").is_some();
        compressions < 2
            && specials < 2
            && levels.all(is_number)
            && !(is_leveled && choice.is_some_and(is_none))
            && !choice.is_some_and(is_asked)
            && !self.value("checksum-choice").is_some_and(is_asked)
    }

    /// Whether a letter is among them.
    pub(super) fn has(&self, letter: u8) -> bool {
        self.letters.contains(&letter)
    }

    /// Whether a word is.
    pub(super) fn says(&self, word: &str) -> bool {
        self.words.iter().any(|said| said == word)
    }

    /// The value of the last such word.
    pub(super) fn value(&self, word: &str) -> Option<&str> {
        let mut words = self.words.iter().rev();
        words.find_map(|said| said.strip_prefix(word)?.strip_prefix('='))
    }

    /// Whether fifos and sockets are sent as such.
    pub(super) fn keeps_specials(&self) -> bool {
        self.says("specials") || (self.has(b'D') && !self.says("no-specials"))
    }

    /// Whether the source removes what has arrived.
    pub(super) fn removes_sources(&self) -> bool {
        self.says("remove-source-files") || self.says("remove-sent-files")
    }

    /// Whether the client sends rules before anything else.
    pub(super) fn has_rules(&self) -> bool {
        self.sends || self.has(b'm') || self.words.iter().any(|word| word.starts_with("delete"))
    }

    /// What contents are compressed by, where the command line says.
    pub(super) fn compression(&self) -> Option<&str> {
        let twice = self.letters.iter().filter(|letter| **letter == b'z');
        match self.value("compress-choice") {
            Some(choice) => Some(choice),
            None if self.says("old-compress") => Some("zlib"),
            None if self.says("new-compress") || twice.count() > 1 => Some("zlibx"),
            None => None,
        }
    }

    /// Whether contents are compressed, by what both ends agree on if the command line does not say.
    pub(super) fn compresses(&self) -> bool {
        self.has(b'z') || self.value("compress-level").is_some() || self.compression().is_some()
    }
}

/// Whether a value has the next word in it, as popt reads it.
fn has_next(value: &[u8]) -> bool {
    value
        .windows(NEXT.len())
        .any(|part| part == NEXT.as_bytes())
}

/// Whether it is a number that everybody reads as the same: popt reads octal and hexadecimal ones, too, and some of it
/// cuts what is longer than 32 bits.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
    text == "0" || (is_decimal && (1..=9).contains(&digits.len()) && !digits.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::super::tests::invocation;
    use super::*;

    #[track_caller]
    fn check(options: &str, want: Option<&str>) {
        let line = format!("rsync --server {options} . /srv/in");
        let got = Options::of(&invocation(&line));
        assert_eq!(got.err().as_deref(), want, "{options}");
    }

    #[test]
    fn an_option_that_nobody_knows_ends_it_before_it_begins() {
        check("-vlogDtpre.iLsfxCIvu", None);
        check(
            "-vvlHogDtpAXrcze.iLsfxCIvu --delete-during --partial-dir .~p --timeout=9",
            None,
        );
        check("-re.iLsfxCIvu -B700 -@-1", None);
        for odd in [
            "--files-from=-",
            "--iconv=utf8",
            "--use-qsort",
            "--only-write-batch=X",
            "--daemon",
            "--delete-missing-args",
            "-rs",
            "-rne.Ls",
            "-rQ",
            "x",
        ] {
            let want = if odd == "-rne.Ls" { "-n" } else { odd };
            check(odd, Some(want));
        }
    }

    /// The last one counts at the target, or the first, or none of them.
    #[test]
    fn what_popt_or_another_rsync_reads_otherwise_is_odd() {
        for (options, odd) in [
            ("-re --numeric-ids", "-re"),
            ("-e", "-e"),
            ("-r -B --numeric-ids", "-B"),
            ("-z --compress-choice=zstd --new-compress", "--new-compress"),
            ("-z --old-compress --new-compress", "--new-compress"),
            (
                "--new-compress --compress-choice=none",
                "--compress-choice=none",
            ),
            (
                "--compress-choice=lz4 --compress-choice=none",
                "--compress-choice=none",
            ),
            ("-z --compress-level=00", "--compress-level=00"),
            ("-z --compress-level=-0", "--compress-level=-0"),
            ("-z --compress-level=0x0", "--compress-level=0x0"),
            (
                "-z --compress-level=4294967296",
                "--compress-level=4294967296",
            ),
            ("-z --compress-level=", "--compress-level="),
            (
                "-z --compress-level=00 --compress-level=1",
                "--compress-level=00",
            ),
            (
                "--compress-choice=none --compress-level=1",
                "--compress-level=1",
            ),
            (
                "--compress-level=1 --compress-choice=NONE",
                "--compress-choice=NONE",
            ),
            ("--compress-choice=auto", "--compress-choice=auto"),
            ("--checksum-choice=auto", "--checksum-choice=auto"),
            ("--specials --no-specials", "--no-specials"),
            ("--no-specials -D", "-D"),
        ] {
            check(options, Some(odd));
        }
        check("-lDze.Ls --no-specials --compress-level=-5", None);
        check("-ze.Ls --old-compress --compress-level=0", None);
        assert_eq!(
            Options::of(&eaten()).err().as_deref(),
            Some("--suffix=!#:+")
        );
    }

    /// A line whose option takes the next word.
    fn eaten() -> Invocation {
        let mut invocation = invocation("rsync --server -re.Ls . /srv/in");
        invocation.options.push(b"--suffix=!#:+".to_vec());
        invocation
    }

    #[test]
    fn maps_of_owners_stand_for_their_letters() {
        let line = "rsync --server -re.Ls --usermap=a:b . /srv/in";
        let options = Options::of(&invocation(line)).unwrap();
        assert!(options.has(b'o') && !options.has(b'g'));
        let line = "rsync --server -re.Ls --groupmap=a:b . /srv/in";
        let options = Options::of(&invocation(line)).unwrap();
        assert!(options.has(b'g') && !options.has(b'o'));
    }
}
