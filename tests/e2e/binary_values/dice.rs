//! Makes up values in binary: the same at every run, most as the server takes them.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "lengths are a few bytes, and what goes wrong fails the test"
)]

/// No line breaks, which are shown as such.
const STRINGS: [&str; 12] = [
    "",
    " ",
    "app",
    "it's",
    "a b",
    "NULL",
    "null",
    "\"",
    "\\",
    "{x,y}",
    "é€",
    "a,\"b\\c\"",
];
/// As `jsonb` writes them; the last one is none.
const JSON: [&str; 6] = [
    "{\"a\": [1, \"x y\"]}",
    "null",
    "\"it's\"",
    "[]",
    "-1.50",
    "{",
];
const XML: [&str; 4] = ["<a b=\"c\">it's</a>", "a b", "<a/><b/>", "<a"];

/// Numbers, by xorshift64.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Self {
        Self(0x7469_6465_6761_7465)
    }

    /// The bytes of a value of this type.
    pub(super) fn value(&mut self, name: &str) -> Vec<u8> {
        // Now and then a byte too few.
        let less = usize::from(self.below(12) == 0);
        match name {
            "bool" => self.noise(1),
            "bytea" => {
                let length = self.below(20);
                self.noise(length)
            }
            // Before PostgreSQL 16 one that is no ASCII is written as it is, and is no text.
            "char" => vec![self.of(b"\0 azAZ09'\"\\{},\x7e")],
            "name" | "text" | "bpchar" | "varchar" => self.of(&STRINGS).into(),
            "json" => self.of(&JSON).into(),
            "jsonb" => [&[1], self.of(&JSON).as_bytes()].concat(),
            "xml" => self.of(&XML).into(),
            "int2" => self.number(2 - less),
            "int4" | "oid" | "date" => self.number(4 - less),
            "int8" | "time" | "timestamp" | "timestamptz" => self.number(8 - less),
            "float4" => self.noise(4 - less),
            "float8" | "macaddr8" => self.noise(8 - less),
            "macaddr" => self.noise(6 - less),
            "uuid" => self.noise(16 - less),
            "interval" => [self.number(8), self.number(4), self.number(4 - less)].concat(),
            "timetz" => {
                let zone = i32::try_from(self.below(120_000)).expect("it is small") - 60_000;
                [self.number(8), zone.to_be_bytes().to_vec()].concat()
            }
            "bit" | "varbit" => {
                let bits = self.below(40);
                let bytes = self.noise(bits.div_ceil(8) + less);
                [int(bits).to_vec(), bytes].concat()
            }
            "cidr" | "inet" => self.network(),
            "numeric" => self.numeric(),
            other => panic!("what is a {other}?"),
        }
    }

    /// The bytes of an array of values of this type, some of them NULL.
    pub(super) fn array(&mut self, name: &str, oid: u32) -> Vec<u8> {
        let dimensions = self.below(4);
        let lower = self.of(&[1_u32, 1, 1, 0, 5, u32::MAX]);
        let mut count = usize::from(dimensions > 0);
        let mut bytes = [int(dimensions), int(1), oid.to_be_bytes()].concat();
        for _ in 0..dimensions {
            let length = self.of(&[1, 1, 2, 2, 3, 3, 0]);
            count *= length;
            bytes.extend([int(length), lower.to_be_bytes()].concat());
        }
        // Now and then there is another number of them.
        let count = count + usize::from(self.below(16) == 0);
        for _ in 0..count {
            if self.below(4) == 0 {
                bytes.extend([0xff; 4]);
            } else {
                let value = self.value(name);
                bytes.extend(int(value.len()));
                bytes.extend(value);
            }
        }
        bytes
    }

    /// A family, a prefix, whether it is a network, a length and an address.
    fn network(&mut self) -> Vec<u8> {
        let (family, length) =
            self.of(&[(2, 4), (2, 4), (3, 16), (3, 16), (3, 16), (2, 16), (4, 4)]);
        let bits = self.below(8 * length + 2);
        let mut address = self.noise(length);
        // Zeros are what its text is about.
        for pair in address.chunks_mut(2) {
            if self.below(2) == 0 {
                pair.fill(0);
            }
        }
        for (place, byte) in address.iter_mut().enumerate() {
            let own = bits.saturating_sub(8 * place).min(8);
            // Mostly nothing behind the prefix.
            if self.below(20) > 0 {
                *byte &= u8::try_from(0xff00_u16 >> own & 0xff).expect("it is a byte");
            }
        }
        let bits = u8::try_from(bits).expect("it is a byte");
        let length = u8::try_from(length).expect("it is a byte");
        [vec![family, bits, 0, length], address].concat()
    }

    /// How many groups of digits, the weight of the first one, a sign, a scale, and the groups.
    fn numeric(&mut self) -> Vec<u8> {
        let (count, odd) = (self.below(6), self.below(16) == 0);
        let weight = i16::try_from(self.below(12)).expect("it is small") - 6;
        let sign = self.of(&[0, 0, 0, 0x4000, 0x4000, 0xc000, 0xd000, 0xf000, 0x8000_u16]);
        let scale = u16::try_from(self.below(30)).expect("it is small");
        let mut bytes = [int(count)[2..].to_vec(), weight.to_be_bytes().to_vec()].concat();
        bytes.extend([sign.to_be_bytes(), scale.to_be_bytes()].concat());
        for _ in 0..count {
            let any = self.below(10_000);
            let group = self.of(&[0, 1, 10, 1_000, 9_999, any]);
            let group = if odd { group + 5_000 } else { group };
            bytes.extend_from_slice(&int(group)[2..]);
        }
        bytes
    }

    /// A number of any size in so many bytes, of either sign.
    fn number(&mut self, bytes: usize) -> Vec<u8> {
        let shift = self.below(8 * bytes) + 64 - 8 * bytes;
        let number = self.next().cast_signed() >> shift;
        number.to_be_bytes()[8 - bytes..].to_vec()
    }

    fn noise(&mut self, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("it is small");
        usize::try_from(self.next() % end).expect("it is small")
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn int(number: usize) -> [u8; 4] {
    let number = u32::try_from(number).expect("it is small");
    number.to_be_bytes()
}
