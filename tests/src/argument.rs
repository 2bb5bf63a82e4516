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
