//! Where a name leads at the target, as far as names tell: one spelling, for policy to compare.
//!
//! Knows no file system. Links, mounts and names that differ in their case only lead where the
//! target says; a name that climbs (`..`) does too, because behind a link it climbs out of what the
//! link leads to, so such a name is none here.

/// The longest name, in bytes (`PATH_MAX` of Linux).
const PATH_MAX: usize = 4096;

/// Why nobody can say where a name leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Vague {
    /// It has `..` in it.
    #[error("a name with `..` in it")]
    Climbs,
    /// It has a character in it that some systems take for another.
    #[error("a name with a zero byte or a backslash in it")]
    Odd,
    /// It begins like the name of a drive, where Windows takes it for one: not below the home then.
    #[error("a name that begins with a letter and a colon, as drives do on Windows")]
    Drive,
    /// It is longer than a name may be.
    #[error("a name of more than 4096 bytes")]
    Long,
    /// It is a relative name for a link to lead to.
    #[error("a link to a name that is not absolute")]
    Relative,
    /// It is none that was asked for.
    #[error("a name that was not asked for")]
    Stray,
    /// Nobody knows which file it is about.
    #[error("something that does not say which file it is about")]
    Nameless,
}

/// The one spelling of a name, seen from `home`, which is itself spelled like that; without one, the
/// account's home is `~`.
pub fn settle(name: &[u8], home: Option<&str>) -> Result<String, Vague> {
    if name.len() > PATH_MAX {
        return Err(Vague::Long);
    }
    if name.iter().any(|byte| matches!(byte, 0 | b'\\')) {
        return Err(Vague::Odd);
    }
    if matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return Err(Vague::Drive);
    }
    // What is no UTF-8 is replaced, for policy's eyes only.
    let name = String::from_utf8_lossy(name);
    let mut path = match (name.starts_with('/'), home) {
        (true, _) | (false, Some("/")) => String::new(),
        (false, home) => home.unwrap_or("~").to_owned(),
    };
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(Vague::Climbs),
            part => {
                path.push('/');
                path.push_str(part);
            }
        }
    }
    if path.is_empty() {
        path.push('/');
    }
    Ok(path)
}

/// The same place, as a directory.
pub fn inside(path: &str) -> String {
    if path.ends_with('/') {
        path.to_owned()
    } else {
        format!("{path}/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, home: Option<&str>, want: Result<&str, Vague>) {
        let got = settle(name.as_bytes(), home);
        assert_eq!(got.as_deref().map_err(|vague| *vague), want, "{name}");
    }

    #[test]
    fn a_place_has_one_spelling() {
        for name in ["/srv/in", "//srv/in", "/srv//in/", "/./srv/./in/."] {
            check(name, None, Ok("/srv/in"));
        }
        check("/", None, Ok("/"));
        check("a/b", None, Ok("~/a/b"));
        check(".", None, Ok("~"));
        check("", None, Ok("~"));
        check("a", Some("/home/dee"), Ok("/home/dee/a"));
        check(".", Some("/home/dee"), Ok("/home/dee"));
        check("a", Some("/"), Ok("/a"));
        check("~/a", None, Ok("~/~/a"));
    }

    #[test]
    fn a_name_that_leads_nobody_knows_where_is_none() {
        for name in ["..", "/srv/in/../x", "a/..", "/../etc"] {
            check(name, None, Err(Vague::Climbs));
        }
        check("/srv/...", None, Ok("/srv/..."));
        check("/srv/a\0b", None, Err(Vague::Odd));
        check("/srv/a\\..\\b", None, Err(Vague::Odd));
        for name in ["C:/Windows/x", "c:x", "C:"] {
            check(name, None, Err(Vague::Drive));
            check(name, Some("/C:/Users/dee"), Err(Vague::Drive));
        }
        check("/C:/Users/dee/x", None, Ok("/C:/Users/dee/x"));
        check("12:30.log", None, Ok("~/12:30.log"));
        check(&"a".repeat(5000), None, Err(Vague::Long));
    }
}
