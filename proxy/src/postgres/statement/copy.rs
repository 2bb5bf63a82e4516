//! `COPY`: what is copied, which way, and whether a file or a program of the server is involved.

use policies::SqlKind;

use super::found::Found;
use super::lexer::{Depth, Token};
use super::{names, statement};

/// Reads a `COPY`. Copying out is reading as well, copying in is adding rows as well.
pub(super) fn read(tokens: &[Token<'_>], wrapped: usize) -> Option<Found> {
    let rest = match tokens.get(1..)? {
        [first, rest @ ..] if first.is("binary") => rest,
        rest => rest,
    };
    let mut found = Found::default();
    let behind = if let [Token::Mark(b'('), inside @ ..] = rest {
        let end = closing(inside)?;
        found.takes(statement(inside.get(..end)?, wrapped));
        inside.get(end.checked_add(1)?..)?
    } else {
        let (name, behind) = names::name(rest)?;
        found.relations.insert(name);
        match behind {
            [Token::Mark(b'('), inside @ ..] => inside.get(closing(inside)?.checked_add(1)?..)?,
            no_columns => no_columns,
        }
    };
    let [Token::Word(way), place, ..] = behind else {
        return None;
    };
    let kinds = match way.to_ascii_lowercase().as_str() {
        "to" => [SqlKind::Select, SqlKind::CopyOut],
        "from" => [SqlKind::Insert, SqlKind::CopyIn],
        _neither => return None,
    };
    for kind in kinds {
        found.does(kind);
    }
    let rows = behind.iter().position(|token| token.is("where"));
    let condition = rows.and_then(|at| behind.get(at..)).unwrap_or_default();
    found.functions.extend(names::called(condition));
    if place.is("program") || *place == Token::Constant {
        // A program or a file of the server.
        found.does(SqlKind::Admin);
    } else if !place.is("stdin") && !place.is("stdout") {
        return None;
    }
    Some(found)
}

/// Where the parenthesis closes that is open before `tokens`.
pub(super) fn closing(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = Depth::ONE;
    tokens.iter().position(|token| depth.at(token) == 0)
}
