//! What a benchmark is told on its command line.

use std::process::ExitCode;
use std::str::FromStr;

/// Looks at the whole command line, before anything takes minutes. An error is how to end: what this takes
/// has been printed, because that was asked for or something else was said. Each of `options` has its name,
/// which a number follows, and what the number is; `parts` are those that [`chosen`] asks about.
///
/// # Errors
///
/// When it is not understood, or help is asked for.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program says how it is used"
)]
pub fn heed(options: &[(&str, &str)], parts: &[&str]) -> Result<(), ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        println!("{}", usage(options, parts));
        return Err(ExitCode::SUCCESS);
    }
    understood(&words, options, parts).map_err(|odd| {
        eprintln!("{odd}\n{}", usage(options, parts));
        ExitCode::from(2)
    })
}

fn understood(words: &[String], options: &[(&str, &str)], parts: &[&str]) -> Result<(), String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--only" && !parts.is_empty() {
            let strange = words.find(|part| !parts.contains(&part.as_str()));
            return strange.map_or(Ok(()), |part| Err(format!("there is no part `{part}`")));
        }
        if options.iter().all(|(name, _)| name != word) {
            return Err(format!("`{word}` is unknown"));
        }
        let value = words.next().map(|value| value.parse::<u32>());
        if !matches!(value, Some(Ok(_))) {
            return Err(format!("a number follows `{word}`"));
        }
    }
    Ok(())
}

fn usage(options: &[(&str, &str)], parts: &[&str]) -> String {
    let mut lines = vec!["what it takes:".to_owned()];
    let of = |(name, what): &(&str, &str)| format!("  {:<14}{what}", format!("{name} N"));
    lines.extend(options.iter().map(of));
    if !parts.is_empty() {
        lines.push(format!(
            "  --only PART…   last: some of {}",
            parts.join(" ")
        ));
    }
    lines.join("\n")
}

/// What stands behind `name`, or what is usual.
///
/// # Panics
///
/// When nothing of that kind follows the name.
pub fn argument<T: FromStr>(name: &str, usual: T) -> T {
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == name {
            return words
                .next()
                .and_then(|value| value.parse().ok())
                .expect("a value follows");
        }
    }
    usual
}

/// Whether a part of a benchmark is to be run: all are, unless `--only` and some of their names come
/// last on the command line.
pub fn chosen(part: &str) -> bool {
    let mut words = std::env::args().skip_while(|word| word != "--only").skip(1);
    match words.next() {
        None => true,
        Some(first) => first == part || words.any(|word| word == part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, want: &str) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let told = understood(&words, &[("--mib", "how much")], &["bulk", "echo"]);
        assert_eq!(told.err().unwrap_or_default(), want);
    }

    #[test]
    fn what_is_not_known_is_not_run_with() {
        check("", "");
        check("--mib 64 --only echo bulk", "");
        check("--mb 64", "`--mb` is unknown");
        check("bulk", "`bulk` is unknown");
        check("--mib", "a number follows `--mib`");
        check("--mib many", "a number follows `--mib`");
        check("--only bulk --mib", "there is no part `--mib`");
    }
}
