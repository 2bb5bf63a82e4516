//! What a benchmark is told on its command line.

/// The number behind `name`, or what is usual.
///
/// # Panics
///
/// When no number follows the name.
pub fn argument(name: &str, usual: usize) -> usize {
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == name {
            return words
                .next()
                .and_then(|number| number.parse().ok())
                .expect("a number follows");
        }
    }
    usual
}
