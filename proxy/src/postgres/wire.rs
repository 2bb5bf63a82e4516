//! The pure half of the PostgreSQL protocol: bytes to messages and back.
//!
//! Knows nothing about sockets, time or policy. Refuses a length before anything is allocated for
//! it. Messages are forwarded as the bytes they came in; decoding is for looking, never for
//! rebuilding.
//!
//! Sources: PostgreSQL documentation, chapter "Frontend/Backend Protocol" (message formats), and
//! the files of PostgreSQL 18 named beside each constant.

mod fields;
mod header;
mod key;
#[cfg(test)]
pub(super) mod samples;
pub(super) mod sasl;
pub(super) mod say;
pub(super) mod scan;

pub(crate) use fields::Fields;
pub(crate) use header::{HEADER, Header, SERVER_MESSAGE_MAX, STARTUP_PACKET_MAX, Side, Violation};
pub(crate) use key::BackendKey;

/// A simple query's text. Text behind the NUL is refused: PostgreSQL would not run it, and a reader
/// of the recording would believe it had.
pub(crate) fn query(body: &[u8]) -> Result<&[u8], Violation> {
    let mut fields = Fields::new(b'Q', body);
    let text = fields.text()?;
    fields.end()?;
    Ok(text)
}

/// A statement to prepare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parse<'a> {
    /// What it will be called; empty for the one without a name.
    pub(crate) name: &'a [u8],
    /// The statement.
    pub(crate) text: &'a [u8],
}

/// Reads the body of a Parse message.
pub(crate) fn parse(body: &[u8]) -> Result<Parse<'_>, Violation> {
    let mut fields = Fields::new(b'P', body);
    let (name, text) = (fields.text()?, fields.text()?);
    for _type in 0..fields.u16()? {
        fields.i32()?;
    }
    fields.end()?;
    Ok(Parse { name, text })
}

/// The types that a Parse message declares for its parameters; 0 leaves one to the server.
pub(crate) fn declared(body: &[u8]) -> Result<Vec<u32>, Violation> {
    let mut fields = Fields::new(b'P', body);
    let _names = (fields.text()?, fields.text()?);
    types(fields)
}

/// The types that a `ParameterDescription` has.
pub(crate) fn described(body: &[u8]) -> Result<Vec<u32>, Violation> {
    types(Fields::new(b't', body))
}

/// As many types as are announced, and nothing behind them.
fn types(mut fields: Fields<'_>) -> Result<Vec<u32>, Violation> {
    let mut types = Vec::new();
    for _type in 0..fields.u16()? {
        types.push(fields.i32()?.cast_unsigned());
    }
    fields.end()?;
    Ok(types)
}

/// Reads as much of a Parse message as there is at the beginning of its body.
pub(crate) fn parse_beginning(body: &[u8]) -> Result<Parse<'_>, Violation> {
    let mut fields = Fields::new(b'P', body);
    let name = fields.text()?;
    let text = fields.text().unwrap_or(fields.rest());
    Ok(Parse { name, text })
}

/// Values bound to a prepared statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bind<'a> {
    /// What the result will be called.
    pub(crate) portal: &'a [u8],
    /// Which statement.
    pub(crate) statement: &'a [u8],
    /// The values in order; `None` is null.
    pub(crate) values: Vec<Option<&'a [u8]>>,
    /// One per value: 0 is text, 1 is binary.
    pub(crate) formats: Vec<u16>,
    /// How many more values it announces than there are here.
    pub(crate) missing: usize,
    /// The formats of its values as they were sent, two bytes each: none, one for all, or one per value.
    pub(crate) announced: &'a [u8],
    /// Those of its results, as far as they are here.
    pub(crate) results: &'a [u8],
}

/// Reads the body of a Bind message. The vectors grow by what is there, not by what is announced.
pub(crate) fn bind(body: &[u8]) -> Result<Bind<'_>, Violation> {
    let mut fields = Fields::new(b'B', body);
    let (portal, statement) = (fields.text()?, fields.text()?);
    let announced = fields.codes()?;
    let mut values = Vec::new();
    for _value in 0..fields.u16()? {
        values.push(fields.value()?);
    }
    let results = fields.codes()?;
    fields.end()?;
    let formats = formats(announced, values.len());
    if formats.len() != values.len() {
        return Err(Violation::Fields(b'B'));
    }
    Ok(Bind {
        portal,
        statement,
        values,
        formats,
        missing: 0,
        announced,
        results,
    })
}

/// One format for each of so many values, where there are none, one for all, or one for each.
fn formats(announced: &[u8], values: usize) -> Vec<u16> {
    let (codes, _none) = announced.as_chunks::<2>();
    match codes {
        [] => vec![0; values],
        [one] => vec![u16::from_be_bytes(*one); values],
        each => each.iter().copied().map(u16::from_be_bytes).collect(),
    }
}

/// Reads as many whole values of a Bind message as there are at the beginning of its body.
pub(crate) fn bind_beginning(body: &[u8]) -> Result<Bind<'_>, Violation> {
    let mut fields = Fields::new(b'B', body);
    let (portal, statement) = (fields.text()?, fields.text()?);
    let announced = fields.codes()?;
    let mut values = Vec::new();
    let count = usize::from(fields.u16()?);
    for _value in 0..count {
        let Ok(value) = fields.value() else { break };
        values.push(value);
    }
    let missing = count.saturating_sub(values.len());
    // Behind a value that is not whole there may be anything.
    let results = match missing {
        0 => fields.codes().unwrap_or_default(),
        _more => &[],
    };
    Ok(Bind {
        portal,
        statement,
        formats: formats(announced, values.len()),
        values,
        missing,
        announced,
        results,
    })
}

/// A thing that Describe or Close names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// A prepared statement.
    Statement(&'a [u8]),
    /// A portal.
    Portal(&'a [u8]),
}

/// Reads the body of a Describe or Close message.
pub(crate) fn named(kind: u8, body: &[u8]) -> Result<Named<'_>, Violation> {
    let mut fields = Fields::new(kind, body);
    let (what, name) = (fields.byte()?, fields.text()?);
    fields.end()?;
    match what {
        b'S' => Ok(Named::Statement(name)),
        b'P' => Ok(Named::Portal(name)),
        _other => Err(Violation::Fields(kind)),
    }
}

/// Reads the portal of an Execute message.
pub(crate) fn execute(body: &[u8]) -> Result<&[u8], Violation> {
    limited(body).map(|(portal, _rows)| portal)
}

/// Reads the portal of an Execute message, and of how many rows at most; 0 is all.
pub(crate) fn limited(body: &[u8]) -> Result<(&[u8], i32), Violation> {
    let mut fields = Fields::new(b'E', body);
    let (portal, rows) = (fields.text()?, fields.i32()?);
    fields.end()?;
    Ok((portal, rows))
}

/// Reads why a client gives up a copy. As behind the text of a query, what stands behind it is refused.
pub(crate) fn given_up(body: &[u8]) -> Result<&[u8], Violation> {
    let mut fields = Fields::new(b'f', body);
    let why = fields.text()?;
    fields.end()?;
    Ok(why)
}

/// What an `ErrorResponse` or `NoticeResponse` says, as far as we look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Complaint<'a> {
    /// `ERROR`, `FATAL`, `NOTICE`, …, not translated where the server is new enough to say so.
    pub(crate) severity: &'a [u8],
    /// Five characters.
    pub(crate) sqlstate: &'a [u8],
    /// The sentence.
    pub(crate) message: &'a [u8],
}

/// Reads the body of an `ErrorResponse` or `NoticeResponse`.
pub(crate) fn complaint(kind: u8, body: &[u8]) -> Result<Complaint<'_>, Violation> {
    let mut fields = Fields::new(kind, body);
    let mut complaint = Complaint::default();
    loop {
        match fields.byte()? {
            0 => break,
            b'S' => {
                let translated = fields.text()?;
                if complaint.severity.is_empty() {
                    complaint.severity = translated;
                }
            }
            b'V' => complaint.severity = fields.text()?,
            b'C' => complaint.sqlstate = fields.text()?,
            b'M' => complaint.message = fields.text()?,
            _other => {
                fields.text()?;
            }
        }
    }
    fields.end()?;
    Ok(complaint)
}

/// Reads the beginning of the body of an `ErrorResponse`, as far as it goes. What it is and its SQLSTATE come first.
pub(crate) fn complaint_beginning(body: &[u8]) -> Complaint<'_> {
    let mut fields = Fields::new(b'E', body);
    let mut complaint = Complaint::default();
    while let Ok(kind @ 1..) = fields.byte() {
        let rest = fields.rest();
        let text = fields.text().unwrap_or(rest);
        match kind {
            b'S' if complaint.severity.is_empty() => complaint.severity = text,
            b'V' => complaint.severity = text,
            b'C' => complaint.sqlstate = text,
            b'M' => complaint.message = text,
            _other => {}
        }
        if text.len() == rest.len() {
            break;
        }
    }
    complaint
}

/// Reads the tag of a `CommandComplete` message, for example `SELECT 3`.
pub(crate) fn tag(body: &[u8]) -> Result<&[u8], Violation> {
    let mut fields = Fields::new(b'C', body);
    let tag = fields.text()?;
    fields.end()?;
    Ok(tag)
}

/// Reads the transaction status of a `ReadyForQuery` message: `I`, `T` or `E`.
pub(crate) fn status(body: &[u8]) -> Result<u8, Violation> {
    match body {
        [status @ (b'I' | b'T' | b'E')] => Ok(*status),
        _other => Err(Violation::Fields(b'Z')),
    }
}

/// Appends a message of `kind` whose body `fill` writes.
pub(crate) fn message(out: &mut Vec<u8>, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    packet(out, fill);
}

/// Appends a packet without a type byte: a length word and what `fill` writes.
pub(crate) fn packet(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    fill(out);
    let length = u32::try_from(out.len().saturating_sub(start)).unwrap_or(u32::MAX);
    if let Some(word) = out
        .get_mut(start..)
        .and_then(|tail| tail.first_chunk_mut::<4>())
    {
        *word = length.to_be_bytes();
    }
}

/// Appends `text` and a NUL. A NUL inside `text` would end it early, so it ends there.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let end = text
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(text.len());
    out.extend(text.iter().take(end));
    out.push(0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_behind_the_nul_of_a_query_is_refused() {
        assert_eq!(query(b"select 1\0"), Ok(b"select 1".as_slice()));
        assert_eq!(
            query(b"select 1\0; drop table x\0"),
            Err(Violation::Fields(b'Q'))
        );
        assert_eq!(query(b"select 1"), Err(Violation::Fields(b'Q')));
        assert_eq!(parse(b"\0select 1\0\0\0more"), Err(Violation::Fields(b'P')));
    }

    #[test]
    fn one_format_holds_for_every_value() {
        let body = b"\0s\0\0\x01\0\x01\0\x02\0\0\0\x01a\xff\xff\xff\xff\0\0";
        let bound = bind(body).unwrap();
        assert_eq!(bound.values, vec![Some(b"a".as_slice()), None]);
        assert_eq!(bound.formats, vec![1, 1]);
        assert_eq!(bound.statement, b"s");
    }

    #[test]
    fn a_value_that_claims_more_than_there_is_is_a_violation() {
        let body = b"\0\0\0\0\0\x01\x7f\xff\xff\xffa\0\0";
        assert_eq!(bind(body), Err(Violation::Fields(b'B')));
        let negative = b"\0\0\0\0\0\x01\xff\xff\xff\xfea\0\0";
        assert_eq!(bind(negative), Err(Violation::Fields(b'B')));
    }

    #[test]
    fn an_error_is_read_with_its_untranslated_severity() {
        let body = b"SFEHLER\0VERROR\0C42P01\0Mrelation \"x\" does not exist\0\0";
        let said = complaint(b'E', body).unwrap();
        assert_eq!(
            (said.severity, said.sqlstate),
            (b"ERROR".as_slice(), b"42P01".as_slice())
        );
        assert_eq!(said.message, b"relation \"x\" does not exist");
    }

    #[test]
    fn the_beginning_of_an_error_is_read_as_far_as_it_goes() {
        let body = b"SFEHLER\0VERROR\0C22P02\0Minvalid\0";
        let read = |end: usize| complaint_beginning(&body[..end]);
        assert_eq!(
            read(body.len()),
            complaint(b'E', &[&body[..], b"\0"].concat()).unwrap()
        );
        let cut = read(body.len() - 3);
        assert_eq!((cut.sqlstate, cut.message), (&b"22P02"[..], &b"inval"[..]));
        for end in 0..body.len() {
            assert!(read(end).message.len() <= 7);
        }
    }

    #[test]
    fn a_written_message_is_read_back() {
        let mut out = Vec::new();
        message(&mut out, b'Q', |body| put_text(body, b"select\0 2"));
        assert_eq!(
            Header::read(&out, Side::Client),
            Ok(Some(Header {
                kind: b'Q',
                body: 7
            }))
        );
        assert_eq!(query(&out[HEADER..]), Ok(b"select".as_slice()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = (Header::read(&bytes, Side::Client), Header::read(&bytes, Side::Target));
            let _read = (query(&bytes), parse(&bytes), bind(&bytes), execute(&bytes));
            let _read = (declared(&bytes), described(&bytes));
            let _read = (named(b'D', &bytes), complaint(b'E', &bytes), tag(&bytes), status(&bytes));
        }

        #[test]
        fn what_is_bound_is_what_is_read(values in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)), 0..8)) {
            let mut body = b"p\0s\0\0\0".to_vec();
            body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
            for value in &values {
                match value {
                    None => body.extend((-1_i32).to_be_bytes()),
                    Some(value) => {
                        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                        body.extend(value);
                    }
                }
            }
            body.extend([0, 0]);
            let read = bind(&body).unwrap();
            prop_assert_eq!(read.values, values.iter().map(Option::as_deref).collect::<Vec<_>>());
        }
    }
}
