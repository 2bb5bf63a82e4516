//! Values that were bound in binary, as the server's own output functions would write them.
//!
//! What each form is stands in PostgreSQL's `src/backend/utils/adt`: a function `…_send` writes it and one
//! `…_recv` reads it, the numbers of types in `src/include/catalog/pg_type.dat`. What the server would not take
//! is not read here either, and neither is what would be long out of all proportion: of both the caller shows
//! the bytes. Types of which the text hangs on the server (`regclass`) or that a database has made for itself are not
//! known here. Where the bytes alone say something all the same (an amount of `money`, of which the server's
//! `lc_monetary` says how many digits are behind the point, or the columns of a row), that stands beside them.

mod address;
mod array;
mod moment;
mod number;
mod range;
mod row;

use std::borrow::Cow;

use policies::hex;
use policies::words::recordings;

/// How long what is shown of a value in so many bytes grows, in bytes. Only a `numeric` and arrays of them can
/// say more: 10 bytes are one with 131,072 digits.
fn room(bytes: usize) -> usize {
    bytes
        .saturating_mul(16)
        .saturating_add(1024)
        .min(super::sql::TEXT_MAX.saturating_mul(16))
}

/// The text of a value of this type, in the session's own encoding where it is text. `None` where the type is not known,
/// or what was bound is none of it.
pub(super) fn text(oid: u32, bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let Some(element) = array::element(oid) {
        return array::text(element, bytes).map(Cow::Owned);
    }
    if let Some(kind) = range::kind(oid) {
        return range::text(kind, bytes).map(|text| Cow::Owned(text.into_bytes()));
    }
    let text = match oid {
        // name, text, json, xml, unknown, bpchar, varchar.
        19 | 25 | 114 | 142 | 705 | 1042 | 1043 => return Some(Cow::Borrowed(bytes)),
        // jsonb: `jsonb_recv` knows one version.
        3802 => return bytes.strip_prefix(&[1]).map(Cow::Borrowed),
        16 => whole(bytes).map(|[byte]| if byte == 0 { "f" } else { "t" }.to_owned()),
        17 => Some(format!("\\x{}", hex(bytes))),
        18 => whole(bytes).map(single),
        20 => whole(bytes).map(|be| i64::from_be_bytes(be).to_string()),
        21 => whole(bytes).map(|be| i16::from_be_bytes(be).to_string()),
        23 => whole(bytes).map(|be| i32::from_be_bytes(be).to_string()),
        // Without a sign.
        26 => whole(bytes).map(|be| u32::from_be_bytes(be).to_string()),
        700 => whole(bytes).map(|be| number::float4(f32::from_be_bytes(be))),
        701 => whole(bytes).map(|be| number::float8(f64::from_be_bytes(be))),
        1700 => number::numeric(bytes, room(bytes.len())),
        650 => address::network(bytes, address::Kind::Cidr),
        869 => address::network(bytes, address::Kind::Inet),
        829 => whole::<6>(bytes).map(|mac| address::mac(&mac)),
        774 => whole::<8>(bytes).map(|mac| address::mac(&mac)),
        1082 => whole(bytes).and_then(|be| moment::date(i32::from_be_bytes(be))),
        1083 => whole(bytes).and_then(|be| moment::time(i64::from_be_bytes(be))),
        1114 => whole(bytes).and_then(|be| moment::timestamp(i64::from_be_bytes(be), "")),
        1184 => whole(bytes).and_then(|be| moment::timestamp(i64::from_be_bytes(be), "+00")),
        1186 => moment::interval(bytes),
        1266 => moment::time_with_zone(bytes),
        1560 | 1562 => bits(bytes),
        2950 => whole(bytes).map(uuid),
        _unknown => None,
    };
    text.map(|text| Cow::Owned(text.into_bytes()))
}

/// What can be said of a value of which there is no text.
pub(super) fn aside(oid: u32, bytes: &[u8]) -> Option<Vec<u8>> {
    match oid {
        790 => whole(bytes).map(|be| recordings::money(i64::from_be_bytes(be)).into_bytes()),
        _other if may_be_row(oid) => row::text(bytes).map(|text| recordings::as_row(&text)),
        _other => None,
    }
}

/// Whether a value of this type may be a row: `record`, or a type that a database has made for itself
/// (`FirstNormalObjectId` in `access/transam.h`).
fn may_be_row(oid: u32) -> bool {
    oid == 2249 || oid >= 16_384
}

/// Whether SQL writes this text of such a type without quotes. `NaN` and `Infinity` it quotes, and a zero with a
/// sign would lose it.
pub(super) fn is_bare(oid: u32, text: &[u8]) -> bool {
    let is_number = matches!(oid, 20 | 21 | 23 | 26 | 700 | 701 | 1700);
    is_number && text.last().is_some_and(u8::is_ascii_digit) && text != b"-0"
}

/// All of the bytes, where there are so many.
fn whole<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

/// The next so many bytes of several parts, of which each has its length before it.
fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    let (part, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    Some(part)
}

/// `"char"`, which is one byte: as `charout` writes it from PostgreSQL 16 on. The versions before write one that
/// is no ASCII as it is, which is no text.
fn single([byte]: [u8; 1]) -> String {
    match byte {
        0 => String::new(),
        1..=0x7f => char::from(byte).to_string(),
        _beyond => format!("\\{byte:03o}"),
    }
}

/// `bit` and `varbit`: how many bits, and as many bytes as hold them (`varbit_recv` in `varbit.c`).
fn bits(bytes: &[u8]) -> Option<String> {
    let (count, bytes) = bytes.split_first_chunk()?;
    let count = usize::try_from(i32::from_be_bytes(*count)).ok()?;
    if bytes.len() != count.div_ceil(8) || count > room(bytes.len()) {
        return None;
    }
    let each = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1));
    Some(
        each.take(count)
            .map(|bit| if bit == 0 { '0' } else { '1' })
            .collect(),
    )
}

/// `uuid_out` in `uuid.c`.
fn uuid(bytes: [u8; 16]) -> String {
    let mut text = hex(&bytes);
    for hyphen in [20, 16, 12, 8] {
        text.insert(hyphen, '-');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.map(byte).collect()
    }

    #[track_caller]
    fn check(oid: u32, hex: &str, want: Option<&str>) {
        let bytes = bytes(hex);
        let shown = text(oid, &bytes);
        let shown = shown.map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(shown.as_deref(), want, "type {oid}, {hex}");
    }

    /// Values as PostgreSQL 15 sends them and as its output functions write them: `select encode(date_send(v), 'hex'), v`.
    #[test]
    fn values_read_as_the_server_writes_them() {
        for (oid, hex, want) in VECTORS {
            check(*oid, hex, Some(want));
        }
    }

    #[test]
    fn every_array_is_read() {
        // One element that is NULL, of each.
        for (array, element) in array::ARRAYS {
            let one = format!("0000000100000001{element:08x}0000000100000001ffffffff");
            check(array, &one, Some("{NULL}"));
        }
    }

    #[test]
    fn what_is_infinite_and_beyond_ascii_is_as_of_later_versions() {
        let least = "80000000000000008000000080000000";
        check(1186, least, Some("-infinity"));
        check(1186, "7fffffffffffffff7fffffff7fffffff", Some("infinity"));
        check(18, "ff", Some("\\377"));
    }

    #[test]
    fn what_the_server_would_not_take_is_not_read() {
        for (oid, hex) in NOT_TAKEN {
            check(*oid, hex, None);
        }
        for (dimensions, want) in [(6, Some("{{{{{{1}}}}}}")), (7, None)] {
            let each = "0000000100000001".repeat(dimensions);
            let array = format!("{dimensions:08x}0000000000000017{each}0000000400000001");
            check(1007, &array, want);
        }
    }

    #[test]
    fn a_few_bytes_do_not_become_many_digits() {
        let digits = |groups: i16| {
            let mut bytes = bytes("00017fff000000000001");
            bytes.splice(2..4, (groups - 1).to_be_bytes());
            let text = text(1700, &bytes);
            text.map(|text| text.len())
        };
        assert_eq!(digits(250), Some(997));
        assert_eq!(digits(296), Some(1181));
        assert_eq!(digits(297), None);
        assert_eq!(digits(32_767), None);
        let scale = bytes("0000000000003fff");
        assert_eq!(text(1700, &scale), None);
        // Each of them would do.
        let array = |count: usize| {
            let head = format!("0000000100000000000006a4{count:08x}00000001");
            let each = "0000000a000100f9000000000001".repeat(count);
            let bytes = bytes(&(head + &each));
            text(1231, &bytes).map(|text| text.len())
        };
        assert_eq!(array(1), Some(999));
        assert_eq!(array(100), None);
    }

    /// Of which type a value is, and its bytes: any, and ones that begin as an array does.
    fn values() -> impl Strategy<Value = (u32, Vec<u8>)> {
        let types: Vec<u32> = VECTORS.iter().map(|vector| vector.0).collect();
        let oid = prop_oneof![proptest::sample::select(types), any::<u32>()];
        let noise = || proptest::collection::vec(any::<u8>(), 0..64);
        let mutated = (
            proptest::sample::select(VECTORS),
            any::<usize>(),
            any::<u8>(),
        );
        let mutated = mutated.prop_map(|((oid, hex, _text), place, byte)| {
            let mut bytes = bytes(hex);
            let place = place.checked_rem(bytes.len()).unwrap_or(0);
            if let Some(at) = bytes.get_mut(place) {
                *at = byte;
            }
            (oid, bytes)
        });
        prop_oneof![(oid, noise()), mutated]
    }

    proptest! {
        #[test]
        fn nothing_that_is_bound_is_too_odd((oid, bytes) in values()) {
            let shown = text(oid, &bytes).map_or(0, |text| text.len());
            // The element that goes too far is of so many bytes itself.
            prop_assert!(shown / 2 <= room(bytes.len()), "{shown} bytes");
        }
    }

    /// Type, bytes, text.
    const VECTORS: &[(u32, &str, &str)] = &[
        (16, "00", "f"),
        (16, "ff", "t"),
        (20, "8000000000000000", "-9223372036854775808"),
        (21, "ffff", "-1"),
        (23, "7fffffff", "2147483647"),
        (25, "c3a9", "é"),
        (1042, "61", "a"),
        (1043, "62", "b"),
        (18, "61", "a"),
        (18, "00", ""),
        (19, "617070", "app"),
        (17, "00ff", "\\x00ff"),
        (114, "7b2261223a20317d", "{\"a\": 1}"),
        (3802, "017b2261223a20317d", "{\"a\": 1}"),
        (142, "3c612f3e", "<a/>"),
        (26, "ffffffff", "4294967295"),
        (701, "7e41eb2d66005835", "1.5e+300"),
        (701, "42dc12218377de40", "123456789012345"),
        (701, "430c6bf526340000", "1e+15"),
        (701, "3f1a36e2eb1c432d", "0.0001"),
        (701, "3ee4f8b588e368f1", "1e-05"),
        (701, "8000000000000000", "-0"),
        (701, "7ff8000000000000", "NaN"),
        (701, "fff0000000000000", "-Infinity"),
        (701, "0000000000000001", "5e-324"),
        (700, "47f12000", "123456"),
        (700, "49742400", "1e+06"),
        (700, "3dcccccd", "0.1"),
        (1082, "00002279", "2024-02-29"),
        (1082, "fff49d7b", "0044-03-15 BC"),
        (1082, "ffda97a7", "4714-11-24 BC"),
        (1082, "7fda970c", "5874897-12-31"),
        (1082, "7fffffff", "infinity"),
        (1082, "80000000", "-infinity"),
        (1082, "ffffffff", "1999-12-31"),
        (1114, "0002b58341712a60", "2024-02-29 12:34:56.7"),
        (1114, "ff1fe2ffc59c5fff", "0001-12-31 23:59:59.999999 BC"),
        (1114, "7fffff5bb3b29fff", "294276-12-31 23:59:59.999999"),
        (1114, "7fffffffffffffff", "infinity"),
        (1114, "8000000000000000", "-infinity"),
        (1184, "0002b57ea53a7600", "2024-02-29 07:04:56+00"),
        (1184, "ff1af9e8fb46d000", "0044-03-15 12:00:00+00 BC"),
        (1184, "fffffffffff0bdc1", "1999-12-31 23:59:59.000001+00"),
        (1083, "000000141dd76000", "24:00:00"),
        (1083, "000000036c97ca88", "04:05:06.789"),
        (1266, "0000000a0ef35120ffffb29e", "12:00:00.5+05:30:10"),
        (1266, "0000000a0eebb0000000e0ff", "12:00:00-15:59:59"),
        (1266, "00000000dde878c000000000", "01:02:03+00"),
        (1266, "00000000dde878c0ffffe3e0", "01:02:03+02"),
        (1186, "00000000000000000000000000000000", "00:00:00"),
        (
            1186,
            "000000036c9361a0fffffffdfffffff6",
            "-10 mons -3 days +04:05:06.5",
        ),
        (
            1186,
            "00000053d1ac1000000000030000000e",
            "1 year 2 mons 3 days 100:00:00",
        ),
        (1186, "000000000000000000000001ffffffff", "-1 mons +1 day"),
        (1186, "ffffffffffffffff0000000000000000", "-00:00:00.000001"),
        (
            1186,
            "0000000003938700ffffffff00000000",
            "-1 days +00:01:00",
        ),
        (1700, "0000000000000000", "0"),
        (1700, "0000000000000003", "0.000"),
        (1700, "0002000040000004000c0d48", "-12.3400"),
        (1700, "00000000c0000000", "NaN"),
        (1700, "00000000d0000020", "Infinity"),
        (1700, "00000000f0000020", "-Infinity"),
        (1700, "00010005000000000001", "100000000000000000000"),
        (1700, "0001fffe0000000804d2", "0.00001234"),
        (1700, "000300010000000104d2162e2328", "12345678.9"),
        (1700, "00010001000000000001", "10000"),
        (
            2950,
            "01890a5dac96774bbcceb302099a8057",
            "01890a5d-ac96-774b-bcce-b302099a8057",
        ),
        (869, "02200004c0000207", "192.0.2.7"),
        (869, "02180004c0000207", "192.0.2.7/24"),
        (869, "0380001000000000000000000000000000000001", "::1"),
        (
            869,
            "0340001020010db8000000000000000000000007",
            "2001:db8::7/64",
        ),
        (
            869,
            "03800010000000000000000000000000c0000207",
            "::192.0.2.7",
        ),
        (
            869,
            "0380001000000000000000000000ffffc0000207",
            "::ffff:192.0.2.7",
        ),
        (650, "020801040a000000", "10.0.0.0/8"),
        (650, "02200104c0000207", "192.0.2.7/32"),
        (
            650,
            "0320011020010db8000000000000000000000000",
            "2001:db8::/32",
        ),
        (829, "08002b010203", "08:00:2b:01:02:03"),
        (774, "08002b0102030405", "08:00:2b:01:02:03:04:05"),
        (1560, "00000005b0", "10110"),
        (1562, "00000000", ""),
        (1562, "00000009b580", "101101011"),
        (1007, "000000000000000000000017", "{}"),
        (
            1007,
            "00000001000000010000001700000003000000010000000400000001ffffffff00000004fffffffd",
            "{1,NULL,-3}",
        ),
        (
            1007,
            "00000002000000010000001700000002ffffffff00000002000000020000000400000001ffffffff00000004000000030000000400000004",
            "[-1:0][2:3]={{1,NULL},{3,4}}",
        ),
        (
            1009,
            "000000010000000100000019000000080000000100000003612062000000044e554c4cffffffff000000000000000371225c00000003782c79000000017b00000002c3a9",
            "{\"a b\",\"NULL\",NULL,\"\",\"q\\\"\\\\\",\"x,y\",\"{\",é}",
        ),
        (
            1000,
            "000000010000000000000010000000020000000100000001010000000100",
            "{t,f}",
        ),
        (
            1001,
            "00000001000000000000001100000001000000010000000101",
            "{\"\\\\x01\"}",
        ),
        (
            1231,
            "0000000100000000000006a400000002000000010000000c0002000000000002000113880000000800000000c0000000",
            "{1.50,NaN}",
        ),
        (
            1185,
            "0000000100000000000004a00000000100000001000000080002b0d5d4e94000",
            "{\"2024-01-01 00:00:00+00\"}",
        ),
        (
            1187,
            "0000000100000000000004a200000001000000010000001000000000000000000000000100000000",
            "{\"1 day\"}",
        ),
        (
            2951,
            "000000010000000000000b8600000001000000010000001001890a5dac96774bbcceb302099a8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
        ),
        (
            3807,
            "000000010000000000000eda000000010000000100000009017b2261223a20317d",
            "{\"{\\\"a\\\": 1}\"}",
        ),
        (
            1182,
            "00000001000000000000043a00000001000000010000000400002279",
            "{2024-02-29}",
        ),
        // Ranges and multiranges, the last of them bound otherwise than the server keeps them.
        (3904, "01", "empty"),
        (3904, "0200000004000000010000000400000006", "[1,6)"),
        (3904, "0200000004000000020000000400000005", "[2,5)"),
        (3904, "120000000400000001", "[1,)"),
        (3904, "080000000400000006", "(,6)"),
        (3904, "18", "(,)"),
        (
            3904,
            "020000000480000000000000047fffffff",
            "[-2147483648,2147483647)",
        ),
        (3904, "0200000004000000070000000400000008", "[7,8)"),
        (
            3926,
            "02000000080000000000000001000000080000000000000006",
            "[1,6)",
        ),
        (3926, "08000000087fffffffffffffff", "(,9223372036854775807)"),
        (
            3926,
            "02000000088000000000000001000000080000000000000000",
            "[-9223372036854775807,0)",
        ),
        (
            3906,
            "060000000c0002000000000002000113880000000a00010000000000010002",
            "[1.50,2.0]",
        ),
        (
            3906,
            "040000000c0002000000000001000113880000000a00010000000000000002",
            "(1.5,2]",
        ),
        (
            3906,
            "060000000800000000c00000000000000800000000c0000000",
            "[NaN,NaN]",
        ),
        (
            3906,
            "000000000800000000f00000200000000800000000d0000020",
            "(-Infinity,Infinity)",
        ),
        (3906, "18", "(,)"),
        (3906, "0c0000000e0003000000000005000305872328", "(,3.14159]"),
        (3906, "01", "empty"),
        (
            3906,
            "020000000c0002000040000004000c0d48000000080000000000000000",
            "[-12.3400,0)",
        ),
        (
            3908,
            "02000000080002b58341712a60000000080002b58cd363c000",
            "[\"2024-02-29 12:34:56.7\",\"2024-03-01 00:00:00\")",
        ),
        (
            3908,
            "06000000088000000000000000000000087fffffffffffffff",
            "[-infinity,infinity]",
        ),
        (
            3908,
            "0800000008ff1af9e8fb46d000",
            "(,\"0044-03-15 12:00:00 BC\")",
        ),
        (
            3910,
            "12000000080002b5819449e260",
            "[\"2024-02-29 10:34:56.7+00\",)",
        ),
        (
            3910,
            "00000000080000000000000000000000087fffffffffffffff",
            "(\"2000-01-01 00:00:00+00\",infinity)",
        ),
        (3910, "01", "empty"),
        (
            3912,
            "020000000400002279000000040000227b",
            "[2024-02-29,2024-03-02)",
        ),
        (3912, "01", "empty"),
        (
            3912,
            "06000000040000223e000000047fffffff",
            "[2024-01-01,infinity]",
        ),
        (
            3912,
            "000000000480000000000000040000223e",
            "(-infinity,2024-01-01)",
        ),
        (3912, "1200000004fff49d7b", "[\"0044-03-15 BC\",)"),
        (3912, "08000000040000227a", "(,2024-03-01)"),
        (4451, "00000000", "{}"),
        (
            4451,
            "00000002000000110200000004000000010000000400000003000000110200000004000000050000000400000008",
            "{[1,3),[5,8)}",
        ),
        (
            4451,
            "000000020000000908000000040000000100000009120000000400000009",
            "{(,1),[9,)}",
        ),
        (
            4532,
            "000000020000001f020000000a000100000000000100010000000c0002000000000001000213880000001f040000000c0002000000000001000213880000000a00010000000000000003",
            "{[1.0,2.5),(2.5,3]}",
        ),
        (
            4532,
            "000000030000001d000000000a000100000000000000010000000a000100000000000000020000001d000000000a000100000000000000020000000a000100000000000000030000001d060000000a000100000000000000050000000a00010000000000000005",
            "{(1,2),(2,3),[5,5]}",
        ),
        (
            4533,
            "000000020000001902000000080002b0d5d4e94000000000080002b0e9f2c0a0000000000d12000000080002b34dd3c24800",
            "{[\"2024-01-01 00:00:00\",\"2024-01-02 00:00:00\"),[\"2024-02-01 10:00:00\",)}",
        ),
        (
            4534,
            "000000010000001902000000080002b0d427c1f800000000080002b0e9f2c0a000",
            "{[\"2023-12-31 22:00:00+00\",\"2024-01-02 00:00:00+00\")}",
        ),
        (
            4535,
            "000000020000001102000000040000223e000000040000225d0000000912000000040000225e",
            "{[2024-01-01,2024-02-01),[2024-02-02,)}",
        ),
        (
            4536,
            "000000010000001902000000080000000000000001000000080000000000000003",
            "{[1,3)}",
        ),
        (
            3905,
            "000000010000000100000f4000000004000000010000001102000000040000000100000004000000030000000101ffffffff00000009080000000400000005",
            "{\"[1,3)\",empty,NULL,\"(,5)\"}",
        ),
        (3905, "000000000000000000000f40", "{}"),
        (
            3909,
            "000000010000000000000f4400000001000000010000001902000000080002b0de36ada800000000080002b0e9f2c0a000",
            "{\"[\\\"2024-01-01 10:00:00\\\",\\\"2024-01-02 00:00:00\\\")\"}",
        ),
        (
            6150,
            "00000001000000000000116300000002000000010000002e000000020000001102000000040000000100000004000000030000001102000000040000000500000004000000070000000400000000",
            "{\"{[1,3),[5,7)}\",\"{}\"}",
        ),
        (
            3907,
            "000000020000000000000f42000000020000000100000001000000010000001f060000000c0002000000000001000113880000000a000100000000000000020000000118",
            "{{\"[1.5,2]\"},{\"(,)\"}}",
        ),
        (
            3913,
            "000000010000000000000f4800000001000000010000001102000000040000223e000000040000223f",
            "{\"[2024-01-01,2024-01-02)\"}",
        ),
        (3904, "0600000004000000010000000400000005", "[1,6)"),
        (3904, "0000000004000000010000000400000002", "empty"),
        (3904, "0000000004000000010000000400000005", "[2,5)"),
        (3904, "0600000004000000050000000400000005", "[5,6)"),
        (3904, "0200000004000000050000000400000005", "empty"),
        (3904, "00000000047fffffff000000047fffffff", "empty"),
        (3904, "1e", "(,)"),
        (3904, "03", "empty"),
        (3904, "2200000004000000010000000400000005", "[1,5)"),
        (3904, "e200000004000000010000000400000005", "[1,5)"),
        (3904, "0a0000000400000005", "(,5)"),
        (3904, "100000000400000005", "[6,)"),
        (
            3926,
            "00000000087fffffffffffffff000000087fffffffffffffff",
            "empty",
        ),
        (3926, "0c000000080000000000000029", "(,42)"),
        (
            3912,
            "000000000480000000000000047fffffff",
            "(-infinity,infinity)",
        ),
        (
            3912,
            "040000000480000000000000047fffffff",
            "(-infinity,infinity]",
        ),
        (
            3906,
            "060000000a000100000000000100010000000a00010000000000020001",
            "[1.0,1.00]",
        ),
        (
            3906,
            "020000000a000100000000000100010000000a00010000000000020001",
            "empty",
        ),
        (
            3906,
            "020000000a0001000040000000000a0000000a00010000400000000009",
            "[-10,-9)",
        ),
        (
            3906,
            "020000000800000000d00000200000000800000000c0000000",
            "[Infinity,NaN)",
        ),
        (
            3906,
            "020000000a0001ffff0000000205dc0000000a0001ffff0000000107d0",
            "[0.15,0.2)",
        ),
        (
            3906,
            "020000000a0001ffff4000000113880000000a0001ffff000000011388",
            "[-0.5,0.5)",
        ),
        (
            3906,
            "020000000800000000f00000200000000a00010000400000000005",
            "[-Infinity,-5)",
        ),
        (
            4451,
            "00000002000000110200000004000000050000000400000007000000110200000004000000010000000400000003",
            "{[1,3),[5,7)}",
        ),
        (
            4451,
            "00000002000000110200000004000000010000000400000003000000110200000004000000030000000400000007",
            "{[1,7)}",
        ),
        (
            4451,
            "000000030000001102000000040000000100000004000000090000001102000000040000000300000004000000040000000101",
            "{[1,9)}",
        ),
        (
            4451,
            "00000002000000110600000004000000010000000400000003000000110000000004000000030000000400000007",
            "{[1,7)}",
        ),
        (
            4451,
            "0000000300000001180000000118000000110200000004000000010000000400000002",
            "{(,)}",
        ),
        (
            4451,
            "000000020000000910000000040000000700000009080000000400000003",
            "{(,3),[8,)}",
        ),
        (
            4451,
            "0000000200000009100000000400000003000000090c0000000400000003",
            "{(,)}",
        ),
        (
            4451,
            "00000002000000110200000004000000010000000400000009000000110200000004000000010000000400000003",
            "{[1,9)}",
        ),
        (
            4532,
            "000000020000001d000000000a000100000000000000020000000a000100000000000000030000001d000000000a000100000000000000010000000a00010000000000000002",
            "{(1,2),(2,3)}",
        ),
        (
            4532,
            "000000020000001d000000000a000100000000000000020000000a000100000000000000030000001d040000000a000100000000000000010000000a00010000000000000002",
            "{(1,3)}",
        ),
        (
            4532,
            "000000020000001d020000000a000100000000000200020000000a000100000000000000030000001d040000000a000100000000000000010000000a00010000000000000002",
            "{(1,3)}",
        ),
        (
            4532,
            "000000030000001d020000000a000100000000000000010000000a000100000000000000020000001d000000000a000100000000000000010000000a000100000000000000020000001d060000000a000100000000000100020000000a00010000000000000002",
            "{[1,2]}",
        ),
        (
            4532,
            "000000020000001d000000000a000100000000000000010000000a000100000000000000020000001d040000000a000100000000000000010000000a00010000000000010002",
            "{(1,2.0]}",
        ),
        (
            4535,
            "00000002000000110600000004800000000000000480000000000000110000000004800000000000000400000005",
            "{[-infinity,2000-01-06)}",
        ),
    ];
    /// Type and bytes.
    const NOT_TAKEN: &[(u32, &str)] = &[
        (16, "0001"),
        (18, ""),
        (20, "00000001"),
        (26, "0000000001"),
        (3802, ""),
        (3802, "027b7d"),
        // A day, an instant and a time too much, or too few.
        (1082, "7fda970d"),
        (1082, "ffda97a6"),
        (1114, "7fffff5bb3b2a000"),
        (1184, "fd0f7cc1411f9fff"),
        (1083, "000000141dd76001"),
        (1083, "ffffffffffffffff"),
        // 16 hours from UTC.
        (1266, "0000000a0eebb0000000e100"),
        (1266, "0000000a0eebb000"),
        (1186, "000000000000000000000000"),
        // A digit of 10,000, another sign, a scale too large, a group too few and one too many.
        (1700, "00010000000000002710"),
        (1700, "00010000800000000001"),
        (1700, "00010000000040000001"),
        (1700, "0002000000000000000a"),
        (1700, "0000000000000000000a"),
        (1700, "00000000000000"),
        // Another family, prefixes too long, too short an address, a host's bits in a network.
        (869, "04200004c0000207"),
        (869, "02210004c0000207"),
        (869, "02200003c00002"),
        (869, "0381001000000000000000000000000000000001"),
        (650, "02180104c0000207"),
        (829, "08002b0102"),
        (1560, "00000009b5"),
        (1562, "ffffffff"),
        (2950, "01890a5dac96774bbcceb302099a80"),
        // Neither are types that are not known.
        (0, "00"),
        (790, "0000000000000001"),
        (16_384, "61"),
        // Another flag, other elements, an element too few and one too many, a length beyond
        // the end, an upper bound that there is not, nothing and more.
        (1007, "000000000000000200000017"),
        (1007, "000000000000000000000014"),
        (
            1007,
            "00000001000000000000001700000002000000010000000400000001",
        ),
        (
            1007,
            "0000000100000000000000170000000100000001000000040000000100000000",
        ),
        (
            1007,
            "00000001000000000000001700000001000000017fffffff00000001",
        ),
        (
            1007,
            "0000000100000000000000170000000100000001fffffffe00000001",
        ),
        (1007, "000000010000000000000017000000017fffffffffffffff"),
        (1007, "0000000100000000000000177fffffff00000001ffffffff"),
        (1007, "00000000000000000000001700"),
        (1007, "000000"),
        // Bounds the wrong way round, that have no next, and of another type; bounds of none; lengths beyond the end.
        (3904, "0200000004000000060000000400000005"),
        (3904, "060000000400000001000000047fffffff"),
        (3904, "0100000004000000010000000400000002"),
        (3904, "020000000400000001"),
        (3904, "020000000400000001000000040000000500"),
        (3926, "10000000087fffffffffffffff"),
        (3912, "060000000400002278000000047fda970c"),
        (3912, "060000000400002278000000047fda970d"),
        (
            3906,
            "020000000a0001000000000000000a0000000a00010000000000000009",
        ),
        (
            3906,
            "020000000a000100004000000000090000000a0001000040000000000a",
        ),
        (3906, "020000000800000000c00000000000000800000000d0000020"),
        (
            3906,
            "020000000a0001ffff0000000107d00000000a0001ffff0000000205dc",
        ),
        (4451, "000000020000000101"),
        (4451, "0000000000"),
        (4451, "ffffffff"),
        (3904, ""),
        (3904, "02000000080000000000000001000000080000000000000005"),
    ];
}
