//! How both ends begin: versions, flags, and what they agree on (`compat.c` of rsync: `setup_protocol`).

use policies::words::rsync::Lost;

use super::options::Options;
use super::wire::{Cut, Halt};

/// The longest list of names (`MAX_NSTR_STRLEN`).
const NAMES_MAX: usize = 256;

/// Lists of files come while files pass (`CF_INC_RECURSE`).
const INCREMENTAL: i32 = 1;
/// Long values of extended attributes are always sent (`CF_AVOID_XATTR_OPTIM`).
const PLAIN_ATTRIBUTES: i32 = 1 << 4;
/// Both ends say which checksums they have, and flags of files are long numbers (`CF_VARINT_FLIST_FLAGS`).
const LONG_FLAGS: i32 = 1 << 7;
/// The name of the user 0 is sent, too (`CF_ID0_NAMES`).
const ZERO_NAMES: i32 = 1 << 8;
/// All that are known.
const FLAGS: i32 = 0x1ff;

/// What both ends agreed on.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    version: i32,
    flags: i32,
    /// How long the checksum of a file is that passed, in bytes.
    pub(super) sum: usize,
    /// The same of a file that is listed.
    pub(super) listed_sum: usize,
    /// What contents are compressed by.
    pub(super) compression: Option<&'static str>,
}

impl Terms {
    pub(super) fn is_incremental(&self) -> bool {
        self.flags & INCREMENTAL != 0
    }

    pub(super) fn has_long_flags(&self) -> bool {
        self.flags & LONG_FLAGS != 0
    }

    pub(super) fn names_zero(&self) -> bool {
        self.flags & ZERO_NAMES != 0
    }

    /// Whether what is only linked is sent without its extended attributes.
    pub(super) fn spares_attributes(&self) -> bool {
        self.version >= 31 && self.flags & PLAIN_ATTRIBUTES == 0
    }

    /// Whether both ends say goodbye twice, and fifos and sockets have no numbers.
    pub(super) fn is_late(&self) -> bool {
        self.version >= 31
    }
}

/// What one end has said.
#[derive(Debug, Default)]
struct End {
    version: Option<i32>,
    checksums: Option<String>,
    compressions: Option<String>,
}

/// The beginning of a transfer.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    client: End,
    target: End,
    flags: Option<i32>,
    terms: Option<Terms>,
}

impl Greeting {
    /// What both ends agreed on, once they have.
    pub(super) fn terms(&self) -> Option<&Terms> {
        self.terms.as_ref()
    }

    /// The next that one end says; how many bytes that is. None once it has nothing more to say.
    pub(super) fn step(
        &mut self,
        from_client: bool,
        bytes: &[u8],
        options: &Options,
    ) -> Result<Option<usize>, Halt> {
        if bytes.is_empty() && self.terms.is_none() {
            return Err(Halt::Short);
        }
        let mut cut = Cut::new(bytes);
        let end = if from_client {
            &mut self.client
        } else {
            &mut self.target
        };
        if end.version.is_none() {
            end.version = Some(cut.int()?);
            return Ok(Some(cut.taken()));
        }
        if from_client && self.terms.is_some() {
            return Ok(None);
        }
        let version = self.version()?;
        let flags = match self.flags {
            Some(flags) => flags,
            None if from_client => return Err(Lost::Turn.into()),
            None => {
                let flags = cut.varint()?;
                if flags & !FLAGS != 0 {
                    return Err(Lost::Flags.into());
                }
                self.flags = Some(flags);
                return Ok(Some(cut.taken()));
            }
        };
        if self.terms.is_some() {
            return Ok(None);
        }
        let end = if from_client {
            &mut self.client
        } else {
            &mut self.target
        };
        let asks = flags & LONG_FLAGS != 0;
        if asks && end.checksums.is_none() && options.value("checksum-choice").is_none() {
            end.checksums = Some(names(&mut cut)?);
        } else if asks
            && end.compressions.is_none()
            && options.compresses()
            && options.compression().is_none()
        {
            end.compressions = Some(names(&mut cut)?);
        } else if from_client {
            return Err(Lost::Turn.into());
        } else {
            cut.int()?;
            self.terms = Some(self.agreed(version, flags, options)?);
        }
        Ok(Some(cut.taken()))
    }

    /// The version that both ends have.
    fn version(&self) -> Result<i32, Lost> {
        let (Some(client), Some(target)) = (self.client.version, self.target.version) else {
            return Err(Lost::Turn);
        };
        let version = client.min(target);
        if (30..=32).contains(&version) {
            Ok(version)
        } else {
            Err(Lost::Version(version))
        }
    }

    fn agreed(&self, version: i32, flags: i32, options: &Options) -> Result<Terms, Lost> {
        let asks = flags & LONG_FLAGS != 0;
        let both = |of: fn(&End) -> &Option<String>, else_: &'static str| {
            if !asks {
                return Ok(else_.to_owned());
            }
            let client = of(&self.client).as_ref().ok_or(Lost::Turn)?;
            let target = of(&self.target).as_ref().ok_or(Lost::Turn)?;
            agreed_name(client, target)
        };
        let (sum, listed) = match options.value("checksum-choice") {
            None => {
                let name = both(|end| &end.checksums, "md5")?;
                (name.clone(), name)
            }
            Some(choice) => match choice.split_once(',') {
                Some((sum, listed)) => (sum.to_owned(), listed.to_owned()),
                None => (choice.to_owned(), choice.to_owned()),
            },
        };
        let compression = match options.compression() {
            Some(choice) => choice.to_owned(),
            None if options.compresses() => both(|end| &end.compressions, "zlib")?,
            None => "none".to_owned(),
        };
        Ok(Terms {
            version,
            flags,
            sum: length(&sum)?,
            listed_sum: length(&listed)?,
            compression: compressed(&compression, options.value("compress-level"))?,
        })
    }
}

fn names(cut: &mut Cut<'_>) -> Result<String, Halt> {
    let text = cut.text(NAMES_MAX)?;
    if !text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(Lost::Choice.into());
    }
    Ok(String::from_utf8_lossy(text).to_ascii_lowercase())
}

/// What both agree on, whichever rsync they are: up to 3.4.1 it is the first of the client's, from 3.5 on each end takes
/// the first of its own (`parse_negotiate_str`). Honest ends have them in one order.
fn agreed_name(client: &str, target: &str) -> Result<String, Lost> {
    let name = common(client, target).ok_or(Lost::Choice)?;
    if common(target, client).as_ref() == Some(&name) {
        Ok(name)
    } else {
        Err(Lost::Choice)
    }
}

/// The first of one end's that the other has as well.
fn common(one: &str, other: &str) -> Option<String> {
    // One checksum has two names.
    let same = |name| if name == "xxhash" { "xxh64" } else { name };
    let mut names = one.split(' ').filter(|name| !name.is_empty()).map(same);
    let shared = names.find(|name| other.split(' ').any(|there| same(there) == *name));
    shared.map(ToOwned::to_owned)
}

/// How long a checksum is, in bytes (`checksum.c`: `csum_len_for_type`).
fn length(name: &str) -> Result<usize, Lost> {
    match name.to_ascii_lowercase().as_str() {
        "none" => Ok(1),
        "xxh64" | "xxhash" | "xxh3" => Ok(8),
        "xxh128" | "md5" | "md4" | "auto" => Ok(16),
        "sha1" => Ok(20),
        _ => Err(Lost::Choice),
    }
}

/// By what contents are compressed, if they are (`token.c`: `init_compression_level`).
fn compressed(name: &str, level: Option<&str>) -> Result<Option<&'static str>, Lost> {
    match name.to_ascii_lowercase().as_str() {
        "none" => Ok(None),
        "zlib" | "zlibx" if level == Some("0") => Ok(None),
        "zlib" => Ok(Some("zlib")),
        "zlibx" => Ok(Some("zlibx")),
        "lz4" => Ok(Some("lz4")),
        "zstd" => Ok(Some("zstd")),
        _ => Err(Lost::Choice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_end_would_take_is_the_same_or_nothing() {
        let honest = "xxh128 xxh3 xxh64 md5 md4 sha1 none";
        assert_eq!(agreed_name("xxh64 md5", honest), Ok("xxh64".to_owned()));
        assert_eq!(agreed_name("xxhash md5", honest), Ok("xxh64".to_owned()));
        assert_eq!(agreed_name("new md5", honest), Ok("md5".to_owned()));
        assert_eq!(agreed_name("md5 xxh128", honest), Err(Lost::Choice));
        assert_eq!(agreed_name("none md5", honest), Err(Lost::Choice));
        assert_eq!(agreed_name("zlib zstd", "zstd lz4 zlib"), Err(Lost::Choice));
        assert_eq!(agreed_name("", honest), Err(Lost::Choice));
        // The target would read no further than the zero.
        let listed = names(&mut Cut::new(b"\x04md5\0"));
        assert!(matches!(listed, Err(Halt::Lost(Lost::Choice))));
    }
}
