//! What of the server's own that others of the machine can write to: whoever writes to its store grants themselves
//! anything. It is told of and goes on: who shares a machine may have it so on purpose.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::{self, Config};
use crate::init;

/// A directory in which nobody can rename or remove what is another's.
const STICKY: u32 = 0o1000;

/// The file or directory, and its permission bits.
pub type Exposed = (PathBuf, u32);

/// Those of the configuration, the state and the recordings that anybody on the machine can write to.
pub fn exposed(config_dir: &Path, config: &Config) -> Vec<Exposed> {
    let paths = [
        config_dir.to_owned(),
        config_dir.join(config::FILE),
        config.state_dir.clone(),
        init::store_path(&config.state_dir),
        init::authority_dir(&config.state_dir),
        config.recordings.clone(),
    ];
    paths.into_iter().filter_map(writable).collect()
}

fn writable(path: PathBuf) -> Option<Exposed> {
    let found = fs::metadata(&path).ok()?;
    let mode = found.mode() & 0o7777;
    let is_kept = found.is_dir() && mode & STICKY != 0;
    (mode & 0o002 != 0 && !is_kept).then_some((path, mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_anybody_can_write_to_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("store");
        fs::write(&file, "").unwrap();
        let told = |mode| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            writable(file.clone()).map(|(_path, mode)| mode)
        };
        assert_eq!(
            [told(0o600), told(0o664), told(0o666)],
            [None, None, Some(0o666)]
        );
        assert_eq!(writable(dir.path().join("none")), None);
        let tmp = dir.path().to_owned();
        fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(writable(tmp), None);
    }
}
