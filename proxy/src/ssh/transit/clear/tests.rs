use proptest::prelude::*;

use super::*;

/// A packet with this payload.
fn packet(payload: &[u8]) -> Vec<u8> {
    let unpadded = payload.len().saturating_add(5);
    let padding = 16_usize.saturating_sub(unpadded % 8);
    let whole = unpadded.saturating_add(padding);
    let length = u32::try_from(whole.saturating_sub(4)).unwrap();
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap());
    packet.extend_from_slice(payload);
    packet.resize(whole, 0);
    packet
}

fn reply(host_key: &[u8]) -> Vec<u8> {
    let length = u32::try_from(host_key.len()).unwrap();
    packet(&[&[31], &length.to_be_bytes()[..], host_key, b"the rest"].concat())
}

/// How a connection begins, up to what is encrypted.
fn beginning() -> Vec<u8> {
    let parts = [
        b"SSH-2.0-tidegate\r\n".to_vec(),
        packet(&[20, 1, 2, 3]),
        packet(&[2, 0, 0, 0, 0]),
        reply(b"the key"),
        packet(&[21]),
        b"encrypted".to_vec(),
    ];
    parts.concat()
}

/// The units of a stream that comes in pieces of this size.
fn units(stream: &[u8], piece: usize) -> Result<Vec<Unit>, Odd> {
    let (mut clear, mut units) = (Clear::default(), Vec::new());
    for came in stream.chunks(piece) {
        clear.take(came);
        while let Some(unit) = clear.next()? {
            units.push(unit);
        }
    }
    Ok(units)
}

#[test]
fn a_key_exchange_passes_as_it_came_however_it_is_cut() {
    let stream = beginning();
    for piece in [1, 2, 7, stream.len()] {
        let units = units(&stream, piece).unwrap();
        let passed: Vec<u8> = units
            .iter()
            .flat_map(|unit| unit.bytes().to_vec())
            .collect();
        assert_eq!(passed, stream);
        assert_eq!(units[0].name(), Some("SSH-2.0-tidegate"));
        let keys: Vec<&[u8]> = units.iter().filter_map(Unit::host_key).collect();
        assert_eq!(keys, [b"the key"]);
    }
}

#[track_caller]
fn is_refused(stream: &[u8]) {
    assert!(units(stream, stream.len()).is_err());
    assert!(units(stream, 1).is_err());
}

#[test]
fn what_does_not_begin_as_ssh_is_refused_at_its_first_bytes() {
    for other in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x03\x01\x02\x00",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"SSH-1.5-old\r\n",
        b"welcome\r\nSSH-2.0-x\r\n",
        b"SSH-2.0-x\x1b[2J\r\n",
    ] {
        is_refused(other);
    }
    is_refused(&[b"SSH-2.0-".to_vec(), vec![b'a'; LINE_MAX]].concat());
}

#[test]
fn nothing_but_a_key_exchange_follows_the_identification() {
    let named = b"SSH-2.0-x\r\n".to_vec();
    let after = |rest: &[Vec<u8>]| [vec![named.clone()], rest.to_vec()].concat().concat();
    is_refused(&after(&[b"GET / HTTP/1.1\r\nHost: web1\r\n\r\n".to_vec()]));
    // New keys without an exchange, and what needs keys without them.
    is_refused(&after(&[packet(&[21])]));
    is_refused(&after(&[packet(&[20]), packet(&[21])]));
    is_refused(&after(&[packet(&[20]), packet(&[50, 1, 2])]));
    is_refused(&after(&[packet(&[20]), packet(&[20])]));
    is_refused(&after(&[packet(&[31, 1])]));
    // Messages that say nothing carry no more than a little.
    let idle = packet(&[vec![2], vec![b'x'; 30_000]].concat());
    is_refused(&after(&[idle.clone(), idle.clone(), idle]));
}

#[test]
fn a_goodbye_is_a_packet_of_its_own() {
    for length in 0..32 {
        let said = goodbye(&"x".repeat(length));
        let stream = [b"SSH-2.0-tidegate\r\n".to_vec(), said.clone()].concat();
        let units = units(&stream, 3).unwrap();
        assert_eq!(units[1], Unit::Packet(said));
    }
}

proptest! {
    #[test]
    fn noise_breaks_nothing_and_little_is_held(noise: Vec<Vec<u8>>, cut in 0_usize..200) {
        let mut clear = Clear::default();
        clear.take(beginning().get(..cut).unwrap_or_default());
        let mut odd = false;
        for piece in &noise {
            clear.take(piece);
            while !odd {
                match clear.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => odd = true,
                }
            }
            prop_assert!(odd || clear.held() <= PACKET_MAX);
        }
    }
}
