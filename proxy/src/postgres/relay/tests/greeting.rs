//! What a target says as it lets somebody in.

use super::*;
use crate::postgres::target::back::Notices;

#[test]
fn notices_of_a_login_are_counted_and_dropped_where_there_is_no_budget() {
    let check = |memory: Memory, passed: usize, recorded: &[&str]| {
        let mut tap = Tap::new();
        let mut notices = Notices {
            count: 2,
            bytes: framed(b'N', &[0; 295]),
        };
        tap.greeted(&mut notices, &memory).unwrap();
        tap.settle(&memory).unwrap();
        assert_eq!((notices.bytes.len(), memory.bytes.get()), (passed, 300));
        assert_eq!(*memory.frames.borrow(), recorded);
    };
    check(Memory::default(), 300, &["note notices"]);
    let spent = Memory {
        rows_max: Some(0),
        rows: Cell::new(1),
        ..Memory::default()
    };
    check(spent, 0, &["note TG559"]);
}
