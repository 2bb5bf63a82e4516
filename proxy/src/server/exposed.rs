//! What of the server's own that others of the machine can write to: whoever writes to its store grants themselves
//! anything. It is told of and goes on: who shares a machine may have it so on purpose.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::{self, Config};
use crate::init;

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

/// A sticky directory counts, too: nobody can remove there what is another's, but anybody can put beside the store
/// what SQLite plays back into it.
fn writable(path: PathBuf) -> Option<Exposed> {
    let mode = fs::metadata(&path).ok()?.mode() & 0o7777;
    (mode & 0o002 != 0).then_some((path, mode))
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
        let sticky = dir.path().to_owned();
        fs::set_permissions(&sticky, fs::Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(writable(sticky.clone()), Some((sticky, 0o1777)));
    }
}
