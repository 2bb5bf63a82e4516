//! The files of a directory with policies: read as they are, and written as they are in force.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use control::change::{PolicyText, PolicyTexts};
use policies::words::cli;

use crate::cli::failure::{Exit, Failure};

/// What the file with the named quorums is called.
const QUORUMS: &str = "quorums.toml";

fn failure(path: &Path, error: &std::io::Error) -> Failure {
    Failure::unread(&path.to_string_lossy(), error)
}

/// What is in a directory. What is not seen is a `forbid` that is not in force.
pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(dir).map_err(|error| failure(dir, &error))?;
    let paths: Result<Vec<PathBuf>, std::io::Error> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let mut paths = paths.map_err(|error| failure(dir, &error))?;
    paths.sort();
    Ok(paths)
}

/// Whether it is called as files with policies are, in whichever case.
fn is_cedar(path: &Path) -> bool {
    let end = path.extension();
    end.is_some_and(|end| end.eq_ignore_ascii_case("cedar"))
}

/// Whether it is a directory of its own. What mounts and editors keep for themselves holds the same files once more.
pub(super) fn is_room(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    path.is_dir() && !path.is_symlink() && !name.starts_with(b".")
}

/// The files with policies below a directory. What cannot be looked into is named itself.
pub(super) fn unread(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(paths) = entries(dir) else {
        return found.push(dir.to_owned());
    };
    for path in paths {
        if is_room(&path) {
            if let Some(less) = depth.checked_sub(1) {
                unread(&path, less, found);
            }
        } else if is_cedar(&path) {
            found.push(path);
        }
    }
}

/// The policy files of a directory itself.
pub(super) fn read(dir: &Path, zone: &str) -> Result<PolicyTexts, Failure> {
    let paths = entries(dir)?;
    let text = |path: &Path| -> Result<PolicyText, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| failure(path, &error))?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        Ok(PolicyText {
            name: name.unwrap_or_default(),
            text,
        })
    };
    let files = paths.iter().filter(|path| is_cedar(path));
    let documents: Result<Vec<PolicyText>, Failure> = files.map(|path| text(path)).collect();
    let quorums = dir.join(QUORUMS);
    let quorums = if paths.contains(&quorums) {
        Some(text(&quorums)?)
    } else {
        None
    };
    Ok(PolicyTexts {
        documents: documents?,
        quorums,
        zone: zone.to_owned(),
    })
}

/// Writes the files into a directory, which is made where it is not there. Returns how many.
///
/// All of them or none, and where no policy file is yet: `policy apply` takes all that are there, and one that was
/// changed or removed there on purpose would be in force beside these. The names come from a server: one that leads
/// elsewhere is refused before anything is written.
pub(super) fn write(dir: &Path, texts: &PolicyTexts) -> Result<usize, Failure> {
    let files: Vec<&PolicyText> = texts.documents.iter().chain(&texts.quorums).collect();
    if let Some(odd) = files.iter().find(|file| !is_plain(&file.name)) {
        return Err(Failure::new(Exit::Error, cli::policy_misnamed(&odd.name)));
    }
    let unwritten = |path: &Path, error: std::io::Error| {
        let shown = path.to_string_lossy();
        let told = if error.kind() == ErrorKind::AlreadyExists {
            cli::policy_there(&shown)
        } else {
            cli::file("write", &shown, &error.to_string())
        };
        Failure::new(Exit::Error, told)
    };
    std::fs::create_dir_all(dir).map_err(|error| unwritten(dir, error))?;
    if let Some(there) = entries(dir)?.iter().find(|path| is_policy(path)) {
        return Err(unwritten(there, ErrorKind::AlreadyExists.into()));
    }
    let mut made = Vec::new();
    for file in &files {
        let path = dir.join(&file.name);
        if let Err(error) = write_one(&path, &file.text, &mut made) {
            for one in &made {
                // What cannot be removed again is what `policy show` is refused for the next time.
                drop(std::fs::remove_file(one));
            }
            return Err(unwritten(&path, error));
        }
    }
    Ok(files.len())
}

/// Writes a file that is not there yet, and adds it to those that were made.
fn write_one(path: &Path, text: &str, made: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    made.push(path.to_owned());
    file.write_all(text.as_bytes())
}

/// Whether it is called as the files are that `policy apply` reads.
fn is_policy(path: &Path) -> bool {
    is_cedar(path) || path.file_name().is_some_and(|name| name == QUORUMS)
}

/// Whether this names a file of the directory itself that would be read from there again.
fn is_plain(name: &str) -> bool {
    let path = Path::new(name);
    path.file_name().is_some_and(|own| own == name) && (is_cedar(path) || name == QUORUMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[&str]) -> PolicyTexts {
        let text = |name: &&str| PolicyText {
            name: (*name).to_owned(),
            text: format!("// {name}\n"),
        };
        PolicyTexts {
            documents: names.iter().map(text).collect(),
            quorums: Some(text(&QUORUMS)),
            zone: "Europe/Berlin".to_owned(),
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("a/b");
        let texts = texts(&["access.cedar", "base.cedar"]);
        assert_eq!(write(&new, &texts).unwrap(), 3);
        assert_eq!(read(&new, &texts.zone).unwrap(), texts);
        // What somebody has changed meanwhile is not written over.
        write(&new, &texts).unwrap_err();
    }

    #[test]
    fn nothing_is_written_beside_what_is_there() {
        for there in ["base.cedar", "quorums.toml", "own.CEDAR"] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(there), "// changed").unwrap();
            std::fs::write(dir.path().join("README"), "").unwrap();
            write(dir.path(), &texts(&["access.cedar", "base.cedar"])).unwrap_err();
            let found = entries(dir.path()).unwrap();
            assert_eq!(found, [dir.path().join("README"), dir.path().join(there)]);
        }
    }

    #[test]
    fn what_was_written_before_a_failure_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        // Twice the same name: the second cannot be made.
        write(dir.path(), &texts(&["a.cedar", "b.cedar", "a.cedar"])).unwrap_err();
        assert_eq!(entries(dir.path()).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        for odd in [
            "../x.cedar",
            "/tmp/x.cedar",
            "a/x.cedar",
            "..",
            "",
            "x.sh",
            ".cedar/",
        ] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), &texts(&["good.cedar", odd])).unwrap_err();
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{odd}");
        }
    }
}
