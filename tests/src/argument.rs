//! What a benchmark is told on its command line.

use std::str::FromStr;

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
