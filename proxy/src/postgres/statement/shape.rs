//! What texts that differ in constants alone have in common: by it what one of them would do is known of all.
//!
//! A statement of a program that writes its values into the text is another text each time.

use super::lexer::Token;

/// The most digits of a number of which one is as good as another: all of these are an `int4`, for
/// which PostgreSQL's grammar has one name (`ICONST`, `src/backend/parser/scan.l`).
const DIGITS_MAX: usize = 9;

/// These tokens without their constants. Two lists have the same shape only where [`of`](super::of) says the
/// same of both: it does not look into a constant, and of the value of a number only at whether it is zero.
///
/// Begins with a NUL, which no text of a client has in it: a shape is never mistaken for a text.
pub(super) fn shape(tokens: &[Token<'_>]) -> Vec<u8> {
    let mut shape = vec![0];
    for token in tokens {
        match token {
            Token::Word(word) => write(&mut shape, b'w', word),
            Token::Quoted(name) => write(&mut shape, b'q', name),
            Token::Constant => write(&mut shape, b'c', ""),
            Token::Number(number) if is_short(number) => write(&mut shape, b'i', ""),
            Token::Number(number) => write(&mut shape, b'n', number),
            Token::Parameter(number) => write(&mut shape, b'p', number),
            Token::Operator(text) => write(&mut shape, b'o', text),
            Token::Mark(mark) => shape.extend([b'm', *mark]),
        }
    }
    shape
}

fn is_short(number: &str) -> bool {
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    number.len() <= DIGITS_MAX && digits && !is_zero(number)
}

/// Whether a number has no digit but zeros: `FETCH 0` does what `FETCH 1` does not.
pub(super) fn is_zero(number: &str) -> bool {
    !number.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
}

/// With its length in front, so that where it ends is never a guess.
fn write(shape: &mut Vec<u8>, kind: u8, text: &str) {
    shape.push(kind);
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    shape.extend(length.to_be_bytes());
    shape.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::cut;
    use super::*;

    fn of(text: &str) -> Vec<u8> {
        shape(&cut(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_differs_in_constants_alone_has_one_shape() {
        let one = of("select * from t where id = 17 and name = 'a'");
        assert_eq!(
            of("select *\n from t where id=4 and name = $$b$$ -- why"),
            one
        );
        for other in [
            "select * from t where id = 17",
            "select * from \"t\" where id = 17 and name = 'a'",
            "select * from T where id = 17 and name = 'a'",
            "select * from t where id = 1.7 and name = 'a'",
            "select * from t where id = 1234567890 and name = 'a'",
            "select * from t where id = $1 and name = 'a'",
            "select * from t where id < 17 and name = 'a'",
            "select * from t where id = 0 and name = 'a'",
            "select * from t; where id = 17 and name = 'a'",
        ] {
            assert_ne!(of(other), one, "{other}");
        }
        assert_ne!(of("select ab"), of("select a b"));
    }
}
